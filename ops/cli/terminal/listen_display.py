"""What `earshot listen` shows on the terminal, and how it is muted."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, TextIO

import structlog

from common.settings import LogSettings
from ops.cli.terminal.keyboard import read_keys
from ops.cli.terminal.live_line import ListenState, is_live_terminal, live_line
from ops.cli.terminal.mute_signal import MuteSignal
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from producer.sources.mute import MutableSource, Mute
from producer.speech.speech_timer import SpeechTimer

log = structlog.get_logger(__name__)

MUTE_KEYS: Final = ("m", "M", " ")


class ListenDisplay:
    """Shows one run of the producer, and mutes it when asked."""

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
        """Show how much this shipper has sent."""
        self._shipper = shipper

    def state(self) -> ListenState:
        """Return what to show now."""
        return ListenState(
            level_dbfs=self._source.level_dbfs,
            speaking_s=self._speaking.seconds,
            sent=self._shipper.sent if self._shipper else 0,
            waiting=len(self._outbox),
            is_muted=self._mute.is_on,
            has_keys=self._has_keys(),
            trouble=self._trouble(),
        )

    @contextmanager
    def show(
        self, settings: LogSettings, signals: MuteSignal, *, reads_stdin: bool
    ) -> Iterator[None]:
        """Mute on SIGUSR1, m and space, and show the live line if stderr is a terminal.

        With `reads_stdin`, the audio comes from stdin, and keys are read from the terminal itself.
        If stdin is redirected for another reason, no keys are read.
        """
        with ExitStack() as stack:
            stack.enter_context(signals.forward_to(self._mute.toggle))
            if reads_stdin or _is_terminal(sys.stdin):
                self._has_keys = stack.enter_context(read_keys(self._handle_key))
            if is_live_terminal(settings):
                stack.enter_context(live_line(settings, self.state))
            if self._mute.is_on:
                log.info("muted", unmute_by="m or space" if self._has_keys() else "SIGUSR1")
            yield

    def _handle_key(self, key: str) -> None:
        if key in MUTE_KEYS:
            self._mute.toggle()


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False
