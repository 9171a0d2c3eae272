"""What a decoder may use, and what it must not do to the host: it reads what a stranger made.

Linux keeps all of it. macOS keeps the limits of CPU time and files, but not that of memory.
"""

import math
import os
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

MEMORY_MB: Final = 512
"""2^20 bytes of private memory. The libraries need 70; the index of a day of AAC needs 100 more."""

PATIENCE_S: Final = 60.0
"""Time without any audio. Reading through an hour of film with one word in it takes less."""

_RENEW_S: Final = 5.0
"""CPU time from one renewal of its limit to the next."""


def limit_process() -> None:
    """Limit this process for good: memory, no files written, no core dump, the first to be killed.

    It ignores the signals that stop an earshot role: the role itself ends its decoders.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody wants the rest
    _limit(resource.RLIMIT_DATA, MEMORY_MB * 2**20)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)  # it would hold what somebody said
    with suppress(OSError):  # Linux only: when memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):  # the platform does not know this limit
        resource.setrlimit(kind, (wanted, wanted))


class CpuLimit:
    """A limit of CPU time that grows with the audio: decoding is never slower than speech.

    The process that waits for the audio keeps the same rule with a clock. This one also holds when
    that process is gone.
    """

    def __init__(self) -> None:
        self._renewed_at = -math.inf
        self.allow(0.0)

    def allow(self, audio_s: float) -> None:
        """Allow PATIENCE_S and the length of the audio so far. Costs nothing if called often."""
        used = time.process_time()
        if used < self._renewed_at + _RENEW_S:
            return
        self._renewed_at = used
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        wanted = math.ceil(PATIENCE_S + audio_s)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (wanted, hard))


def take_standard_output() -> int:
    """Return a descriptor for the standard output; what a library prints there goes nowhere."""
    descriptor = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return descriptor
