"""Who may use an outbox: one producer, or the sweep for a moment while no producer runs.

`SESSION.lock` is held by whoever uses the outbox. The lock of the *folder* is the gate to it: it is
taken first, and for a short time only. The sweep holds the gate for as long as it holds the lock
of an outbox, so a starting producer never meets a lock that the sweep holds: it waits at the gate.
Files of an outbox are deleted behind the gate too, so nobody holds the lock of a deleted file.

Both are locks of flock(2): the kernel releases them when the process dies.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from common.closeable import Closeable
from common.errors import BadInput

GATE_S: Final = 10.0
"""How long a producer waits at the gate: a sweep of one outbox takes some ms."""

_POLL_S: Final = 0.01


class InUse(BadInput):
    """Another process uses this outbox."""


class OutboxLock(Closeable):
    """The lock of one outbox. `take` it, behind the gate; closing releases it."""

    def __init__(self, folder: Path, session: str) -> None:
        self._path = folder / f"{session}.lock"
        self._session = session
        self._descriptor = -1

    @property
    def is_held(self) -> bool:
        return self._descriptor >= 0

    def take(self) -> None:
        """Take the lock. Raises InUse when another process has it, OSError when the disk fails."""
        if self.is_held:
            return
        descriptor = _open(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InUse(
                f"another `earshot listen` with the session {self._session!r} runs on this host:"
                " stop it, or choose another --session"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def close(self) -> None:
        if self.is_held:
            os.close(self._descriptor)
            self._descriptor = -1


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        # a lock needs no writing: it can be held on a disk that has become read-only
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            pass
        raise


@contextmanager
def gate(folder: Path, wait_s: float = GATE_S) -> Iterator[bool]:
    """Hold the gate of a folder of outboxes; yield whether it was free within `wait_s`.

    A file system that cannot lock a folder has no gate, and nobody waits there.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _lock(descriptor, wait_s)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        except OSError:
            return True
        else:
            return True
