"""Recordings on their way from a browser: into files of this process, which disappear with it.

The files lie beside the outboxes, on a disk: in a container /tmp is memory.
"""

import asyncio
import errno
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from common.closeable import Closeable
from common.errors import BadInput
from ops.dashboard.visitors.admission import BUSY_S, Place, Refusal

FOLDER: Final = "uploads"
"""The folder of all recordings, inside that of the outboxes."""

WINDOW_S: Final = 30.0
WINDOW_BYTES: Final = 65_536
"""A visitor must send so many bytes in each window: 2 kB/s is slower than any telephone."""


class Uploads(Closeable):
    """The files of this process, in a folder of its own below `folder`.

    That is made when the first file comes: a dashboard without a disk still shows everything.
    """

    def __init__(self, folder: Path) -> None:
        self._all = folder
        self._own: tuple[Path, int] | None = None
        self._delete_leftovers()

    def free(self) -> int:
        """Return how many bytes of the disk are free; raises BadInput if there is no folder."""
        return shutil.disk_usage(self._open()).free

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """Give the path of a new file with this name; the file is deleted at the end.

        Raises BadInput if there is no folder for it.
        """
        folder = Path(mkdtemp(dir=self._open()))
        try:
            yield folder / name
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _open(self) -> Path:
        """Return the folder of this process. Its lock tells that it is no leftover."""
        if self._own is None:
            try:
                self._all.mkdir(mode=0o700, parents=True, exist_ok=True)
                own = Path(mkdtemp(dir=self._all))
            except OSError as error:
                raise BadInput(
                    f"recordings cannot be kept in {self._all} ({error.strerror}): set"
                    " EARSHOT_LISTEN__OUTBOX to a folder that can be written"
                ) from None
            self._own = own, os.open(own, os.O_RDONLY)
            fcntl.flock(self._own[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._own[0]

    def _delete_leftovers(self) -> None:
        """Delete the files of processes that were killed."""
        with suppress(OSError):
            for folder in self._all.iterdir():
                if (lock := _lock(folder)) is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)

    def close(self) -> None:
        if self._own is not None:
            (own, lock), self._own = self._own, None
            shutil.rmtree(own, ignore_errors=True)
            os.close(lock)


async def receive(
    chunks: AsyncIterator[bytes],
    path: Path,
    place: Place,
    *,
    window_s: float,
) -> None:
    """Write a recording to a file as it comes, in the bytes of its place.

    Raises Refusal when there is no room for it, or when it comes too slowly.
    """
    left = WINDOW_BYTES
    loop = asyncio.get_running_loop()
    try:
        with path.open("wb") as file:
            async with asyncio.timeout(window_s) as window:
                async for chunk in chunks:
                    place.write(len(chunk))
                    await asyncio.to_thread(file.write, chunk)
                    left -= len(chunk)
                    if left <= 0:
                        left = WINDOW_BYTES
                        window.reschedule(loop.time() + window_s)
    except TimeoutError:
        raise Refusal(
            f"less than {WINDOW_BYTES // 1024} kB came in {window_s:g} s: send the recording again"
            " over a faster connection",
            408,
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Refusal(
            "the disk of the dashboard is full: make room there, or send the recording later",
            503,
            retry_after_s=BUSY_S,
        ) from None


def _lock(folder: Path) -> int | None:
    """Lock a folder; return its descriptor, or None if another process holds it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
        else:
            return descriptor
    return None
