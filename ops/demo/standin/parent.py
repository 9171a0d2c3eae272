"""The parent of this process: this process can end when its parent has died.

A demo that is killed with SIGKILL cannot stop its children. On Linux the kernel sends them a
signal. On other systems they must look at `is_gone` now and then.
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
    """The process that is the parent of this one when the object is made."""

    def __init__(self) -> None:
        self._pid = os.getppid()

    @property
    def is_gone(self) -> bool:
        """Whether it has died: an orphan gets another parent."""
        return os.getppid() != self._pid

    def when_gone(self, stop: Callable[[], None]) -> None:
        """Let a signal handler call `stop` as soon as the parent dies (only on Linux).

        The kernel sends the signal when the *thread* ends that started this process. So the handler
        checks that the whole process has died.
        """
        if not sys.platform.startswith("linux"):
            return

        def handle(_signal: int, _frame: object) -> None:
            if self.is_gone:
                stop()

        signal.signal(signal.SIGUSR1, handle)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        if self.is_gone:
            stop()
