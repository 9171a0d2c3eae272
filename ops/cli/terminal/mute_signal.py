"""SIGUSR1 mutes, from the first moment: unhandled, it would end the process."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_NUMBER: Final = getattr(signal, "SIGUSR1", None)
"""None on Windows, which lacks the signal."""


class MuteSignal:
    """Counts the signals until `forward_to` says what they toggle."""

    def __init__(self) -> None:
        self._count = 0
        if _NUMBER is not None:
            signal.signal(_NUMBER, self._count_signal)

    @contextmanager
    def forward_to(self, toggle: Callable[[], None]) -> Iterator[None]:
        """Call `toggle` in the event loop for each signal, earlier ones included."""
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
            signal.signal(_NUMBER, signal.SIG_IGN)  # nothing listens any more

    def _count_signal(self, _number: int, _frame: Any) -> None:
        self._count += 1
