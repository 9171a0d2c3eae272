"""Files that appear complete or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from common.errors import BadInput


@contextmanager
def open_atomically(target: Path, job: str) -> Iterator[IO[str]]:
    """Open a UTF-8 file that appears at `target` when the context ends without an error.

    Until then it lies beside it, hidden, under a name that is the same at every try of a job.
    Raises BadInput where the place cannot be written.
    """
    part = target.with_name(f".{target.name}.{job}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Raise BadInput where `open_atomically` would: before long work starts."""
    folder = target.parent
    if not folder.is_dir():
        raise BadInput(f"{target} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{target} cannot be written: {folder} is not writable")


def _sync(folder: Path) -> None:
    """Write the folder to disk: else a new name in it does not survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
