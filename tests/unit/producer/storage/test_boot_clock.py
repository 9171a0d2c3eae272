"""The clock of the boot is the same for all processes of a boot, and for no others."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from producer.storage import boot_clock
from producer.storage.boot_clock import host_clock, name_clock

SHOW = """
from producer.storage.boot_clock import host_clock

print(host_clock().elapsed(), host_clock().name)
"""

NOT_SHIFTED = "monotonic           0         0\nboottime            0         0\n"


def test_the_clock_goes_on() -> None:
    clock = host_clock()
    before = clock.elapsed()
    while clock.elapsed() == before:
        time.sleep(0.001)
    assert clock.elapsed() > before > 0


def test_another_process_of_this_boot_has_the_same_clock() -> None:
    script = (
        "from producer.storage.boot_clock import host_clock as h; print(h().elapsed(), h().name)"
    )
    before = host_clock().elapsed()
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    elapsed, _, name = shown.stdout.strip().partition(" ")
    assert name == host_clock().name
    assert before <= float(elapsed) <= host_clock().elapsed()


def test_processes_whose_clock_is_shifted_have_another_clock() -> None:
    """A time namespace, as containers may have."""
    boot = "5d0b4f1e-0000-4000-8000-000000000000\n"
    assert name_clock(boot, NOT_SHIFTED) == name_clock(boot, "") == boot.strip()
    shifted = name_clock(
        boot, NOT_SHIFTED.replace("boottime            0", "boottime       864000")
    )
    assert shifted == f"{boot.strip()} boottime 864000 0"


def test_where_the_host_says_nothing_of_its_boots_no_time_is_known_between_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot_clock, "_BOOT_ID", tmp_path / "none")
    first, second = (host_clock.__wrapped__() for _ in range(2))
    assert first.name != second.name
    assert first.elapsed() > 0
