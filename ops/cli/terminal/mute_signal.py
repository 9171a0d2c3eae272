"""SIGUSR1 mutes and unmutes. It is handled from the start, or it would end the process."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_NUMBER: Final = getattr(signal, "SIGUSR1", None)
"""None on Windows, which lacks the signal."""


class MuteSignal:
    """Remembers when signals came, until `forward_to` is called."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        if _NUMBER is not None:
            signal.signal(_NUMBER, self._remember)

    @contextmanager
    def forward_to(self, toggle: Callable[[float | None], None]) -> Iterator[None]:
        """Call `toggle` in the event loop for each signal, also for earlier ones.

        It gets the moment when an earlier one came (monotonic, s), and None for one that comes now.
        """
        if _NUMBER is None:
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(_NUMBER, toggle, None)
        for moment in self._moments:
            toggle(moment)
        try:
            yield
        finally:
            loop.remove_signal_handler(_NUMBER)
            signal.signal(_NUMBER, signal.SIG_IGN)  # there is nothing to mute any more

    def _remember(self, _number: int, _frame: Any) -> None:
        self._moments.append(time.monotonic())
