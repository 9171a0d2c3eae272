"""One process has an outbox; behind the gate nobody else opens, sweeps or deletes one."""

import os
import threading
from pathlib import Path

import pytest

from producer.storage.lock import InUse, OutboxLock, gate


def test_two_do_not_have_the_lock(tmp_path: Path) -> None:
    with OutboxLock(tmp_path, "s1") as first, OutboxLock(tmp_path, "s1") as second:
        first.take()
        first.take()  # twice is once
        with pytest.raises(InUse, match="another `earshot listen` with the session 's1'"):
            second.take()
        assert (first.is_held, second.is_held) == (True, False)
        first.close()
        second.take()
        assert second.is_held


def test_a_lock_needs_no_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that has become read-only, the lock still tells who uses an outbox."""
    real = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise OSError(30, "Read-only file system")
        return real(path, flags, mode)

    with OutboxLock(tmp_path, "s1") as before:
        before.take()
    monkeypatch.setattr(os, "open", read_only)
    with OutboxLock(tmp_path, "s1") as first, OutboxLock(tmp_path, "s1") as second:
        first.take()
        with pytest.raises(InUse):
            second.take()
    with OutboxLock(tmp_path, "s2") as other, pytest.raises(OSError, match="Read-only"):
        other.take()  # it has no file yet


def test_the_gate_lets_in_one_after_the_other(tmp_path: Path) -> None:
    inside, left = threading.Event(), threading.Event()
    order: list[str] = []

    def enter() -> None:
        inside.wait(60)
        with gate(tmp_path) as is_open:
            assert is_open
            order.append("second")

    thread = threading.Thread(target=enter)
    thread.start()
    with gate(tmp_path) as is_open:
        assert is_open
        inside.set()
        left.wait(0.1)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == [], "the folder itself is the gate"


def test_who_cannot_wait_is_told(tmp_path: Path) -> None:
    with gate(tmp_path) as first, gate(tmp_path, wait_s=0) as second:
        assert (first, second) == (True, False)
    with gate(tmp_path, wait_s=0) as third:
        assert third
