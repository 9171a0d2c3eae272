"""Children that do not outlive the process that started them, however that one ended."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""From <linux/prctl.h>: the signal that the kernel sends when the parent dies."""

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(signal_number: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn` after which the child gets `signal_number` when its parent dies.

    Linux only; elsewhere it does nothing, and only an orderly end of the parent ends the child.
    The kernel watches the *thread* that started the child: start children from the main thread,
    never from one that ends earlier.
    """
    parent = os.getpid()

    def arm() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return arm
