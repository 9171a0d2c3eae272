"""The clock of this boot of the host: it counts time that has certainly passed, and nothing else.

The wall clock is no such clock. It jumps when NTP, a person or a bad battery sets it. The monotonic
clock is none either: it stands still while the host is suspended. Linux's CLOCK_BOOTTIME never
jumps and goes on in suspension (clock_gettime(2)). It begins anew with each boot.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""A random id of this boot; containers of one host share it (random(4))."""

_OFFSETS: Final = Path("/proc/self/timens_offsets")
"""What a time namespace adds to the clocks of its processes (time_namespaces(7))."""


@dataclass(frozen=True, slots=True)
class BootClock:
    """A clock in s. Only readings of clocks with the same `name` may be compared."""

    name: str
    elapsed: Callable[[], float]


@cache
def host_clock() -> BootClock:
    """Return the clock of this host's present boot.

    Where there is no CLOCK_BOOTTIME or no boot id, it is a clock of this process alone.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    boot = _read(_BOOT_ID)
    if clock is None or not boot:
        return BootClock(uuid.uuid4().hex, time.monotonic)
    return BootClock(name_clock(boot, _read(_OFFSETS)), lambda: time.clock_gettime(clock))


def name_clock(boot: str, offsets: str) -> str:
    """Return the name of the clock of a boot, as processes with these offsets see it."""
    shifted = [" ".join(line.split()) for line in offsets.splitlines()]
    return " ".join([boot.strip(), *(line for line in shifted if not line.endswith(" 0 0"))])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
