"""Files that appear complete or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from common.errors import BadInput
from ops.jobs.files.job_folder import JobFolder


@contextmanager
def open_atomically(target: Path, job: str, folder: JobFolder | None = None) -> Iterator[IO[str]]:
    """Open a UTF-8 file that appears at `target` when the context ends without an error.

    Until then it lies beside it, hidden, under a name that is the same at every try of a job. In
    the `folder` of the jobs it replaces only what earshot wrote. Raises BadInput where the place
    cannot be written.
    """
    part = target.with_name(f".earshot-{_digest(f'{job} {target.name}')}.part")
    try:
        part.unlink(missing_ok=True)  # left by a try that was killed
        with part.open("x", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if folder is not None:
            _allow_replacing(target, part, folder)
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


def _allow_replacing(target: Path, part: Path, folder: JobFolder) -> None:
    """Mark the new file as earshot's, and the old one until it is replaced: a try may be killed."""
    folder.check_replaceable(target)
    folder.marks.allow(target, part, *([target] if target.exists() else []))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _sync(folder: Path) -> None:
    """Write the folder to disk: else a new name in it does not survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
