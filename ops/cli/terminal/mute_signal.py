"""SIGUSR1 mutes and unmutes. It is handled from the start, or it would end the process."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_NUMBER: Final = getattr(signal, "SIGUSR1", None)
"""None on Windows, which lacks the signal."""


class MuteSignal:
    """Counts the signals until `forward_to` is called."""

    def __init__(self) -> None:
        self._count = 0
        if _NUMBER is not None:
            signal.signal(_NUMBER, self._count_signal)

    @contextmanager
    def forward_to(self, toggle: Callable[[], None]) -> Iterator[None]:
        """Call `toggle` in the event loop for each signal, also for earlier ones."""
        if _NUMBER is None:
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(_NUMBER, toggle)
        for _ in range(self._count):
            toggle()
        try:
            yield
        finally:
            loop.remove_signal_handler(_NUMBER)
            signal.signal(_NUMBER, signal.SIG_IGN)  # there is nothing to mute any more

    def _count_signal(self, _number: int, _frame: Any) -> None:
        self._count += 1
