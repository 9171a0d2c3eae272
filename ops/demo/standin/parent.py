"""Ending when the process that started this one is gone.

A demo that is killed with SIGKILL cannot stop its children. On Linux the kernel
tells them; elsewhere `orphaned` has to be asked now and then, and on Linux it
covers what the kernel's word leaves open.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""From <linux/prctl.h>: the signal that the kernel sends when the parent dies."""


class Parent:
    """The process that is this one's parent now."""

    def __init__(self) -> None:
        self._pid = os.getppid()

    @property
    def gone(self) -> bool:
        """Whether it has died: an orphan gets another parent."""
        return os.getppid() != self._pid

    def when_gone(self, stop: Callable[[], None]) -> None:
        """Have `stop` called, from a signal handler, as soon as it dies (Linux only).

        The kernel sends the signal when the parent's *thread* that started this
        process ends, so the handler looks whether the whole process has gone.
        """
        if not sys.platform.startswith("linux"):
            return

        def handle(_signal: int, _frame: object) -> None:
            if self.gone:
                stop()

        signal.signal(signal.SIGUSR1, handle)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        if self.gone:
            stop()
