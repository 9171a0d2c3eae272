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

    Until then it lies beside it, at `temporary_path`. In the `folder` of the jobs it replaces only
    what earshot wrote. Raises BadInput where the place cannot be written.
    """
    part = temporary_path(target, job)
    try:
        part.unlink(missing_ok=True)  # of a try that was killed
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


def temporary_path(target: Path, job: str) -> Path:
    """Return a hidden place beside `target`, the same at every try of a job.

    Its name is short, however long the name of `target` is: a file system takes 255 bytes, some
    take 143.
    """
    digest = hashlib.sha256(os.fsencode(f"{job}/{target.name}")).hexdigest()
    return target.with_name(f".earshot-{digest[:16]}.part")


def is_taken(target: Path) -> bool:
    """Return whether there is a file; raises BadInput where no file of this name can be."""
    try:
        target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}") from None
    return True


def check_writable(target: Path) -> None:
    """Raise BadInput where `open_atomically` would: before long work starts."""
    is_taken(target)
    folder = target.parent
    if not folder.is_dir():
        raise BadInput(f"{target} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{target} cannot be written: {folder} is not writable")


def _allow_replacing(target: Path, part: Path, folder: JobFolder) -> None:
    """Mark the new file as earshot's, and the old one until it is replaced: a try may be killed."""
    folder.check_replaceable(target)
    folder.marks.allow(target, part, *([target] if target.exists() else []))


def _sync(folder: Path) -> None:
    """Write the folder to disk: else a new name in it does not survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
