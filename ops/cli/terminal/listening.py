"""What a person sees of `earshot listen`, and the ways to mute it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, TextIO

import structlog

from common.settings import LogSettings
from ops.cli.terminal.keyboard import keys
from ops.cli.terminal.live_line import State, is_wanted, live_line
from ops.cli.terminal.mute_signal import MuteSignal
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from producer.sources.mute import MutableSource, Mute
from producer.speech.speech_timer import SpeechTimer

log = structlog.get_logger(__name__)

MUTE_KEYS: Final = ("m", "M", " ")


class Listening:
    """One run of the producer, to look at and to mute."""

    def __init__(
        self,
        source: MutableSource,
        mute: Mute,
        speaking: SpeechTimer,
        outbox: Outbox,
        trouble: Callable[[], str],
    ) -> None:
        self._source = source
        self._mute = mute
        self._speaking = speaking
        self._outbox = outbox
        self._trouble = trouble
        self._shipper: Shipper | None = None
        self._has_keys: Callable[[], bool] = lambda: False

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
            has_keys=self._has_keys(),
            trouble=self._trouble(),
        )

    @contextmanager
    def shown(
        self, settings: LogSettings, signals: MuteSignal, *, reads_stdin: bool
    ) -> Iterator[None]:
        """SIGUSR1 mutes, and m and space do in the foreground of a terminal; where stderr is one,
        there is the live line.

        `reads_stdin` says that stdin is the audio: then the terminal is looked for beside it.
        Whoever has given another stdin does not expect that keys are read.
        """
        with ExitStack() as stack:
            stack.enter_context(signals.handled(self._mute.toggle))
            if reads_stdin or _is_terminal(sys.stdin):
                self._has_keys = stack.enter_context(keys(self._pressed))
            if is_wanted(settings):
                stack.enter_context(live_line(settings, self.state))
            if self._mute.is_on:
                log.info("muted", unmute_by="m or space" if self._has_keys() else "SIGUSR1")
            yield

    def _pressed(self, key: str) -> None:
        if key in MUTE_KEYS:
            self._mute.toggle()


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False
