"""A file that is there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from common.errors import BadInput


@contextmanager
def open_atomically(target: Path, job: str) -> Iterator[IO[str]]:
    """A UTF-8 file that takes its place when the context is left, and never if that is by an error.

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
    """Raises BadInput where `open_atomically` would, for work that takes long before it writes."""
    folder = target.parent
    if not folder.is_dir():
        raise BadInput(f"{target} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{target} cannot be written: nothing may be written into {folder}")


def _sync(folder: Path) -> None:
    """A new name in a folder survives a power cut only if the folder was written."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
