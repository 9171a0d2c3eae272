"""What a person sees of `earshot listen`, and the ways to mute it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from common.settings import LogSettings
from ops.terminal.keyboard import keys
from ops.terminal.live_line import State, is_wanted, live_line
from producer.mute import Mutable, Mute
from producer.outbox import Outbox
from producer.shipper import Shipper
from producer.speaking import Speaking

MUTE_KEYS: Final = ("m", "M", " ")


class Listening:
    """One run of the producer, to look at and to mute."""

    def __init__(self, source: Mutable, mute: Mute, speaking: Speaking, outbox: Outbox) -> None:
        self._source = source
        self._mute = mute
        self._speaking = speaking
        self._outbox = outbox
        self._shipper: Shipper | None = None
        self._has_keys = False

    def follow(self, shipper: Shipper) -> None:
        """Show what this shipper has sent."""
        self._shipper = shipper

    def state(self) -> State:
        """What there is to see now."""
        return State(
            level_dbfs=self._source.level_dbfs,
            speaking_s=self._speaking.seconds,
            sent=self._shipper.sent if self._shipper else 0,
            waiting=len(self._outbox),
            is_muted=self._mute.is_on,
            has_keys=self._has_keys,
        )

    @contextmanager
    def shown(self, settings: LogSettings, *, reads_stdin: bool) -> Iterator[None]:
        """SIGUSR1 mutes; on a terminal there is the live line, and m and space mute as well.

        `reads_stdin` says that stdin is the audio, and no keyboard.
        """
        with ExitStack() as stack:
            stack.enter_context(self._signal())
            if is_wanted(settings):
                if not reads_stdin:
                    self._has_keys = stack.enter_context(keys(self._pressed))
                stack.enter_context(live_line(settings, self.state))
            yield

    @contextmanager
    def _signal(self) -> Iterator[None]:
        number = getattr(signal, "SIGUSR1", None)
        if number is None:  # Windows
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(number, self._mute.toggle)
        try:
            yield
        finally:
            loop.remove_signal_handler(number)

    def _pressed(self, key: str) -> None:
        if key in MUTE_KEYS:
            self._mute.toggle()
