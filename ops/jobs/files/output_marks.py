"""Marks for the files that earshot wrote: what each of them held when it was written.

A job may replace a file that still holds just that. They lie in the folder itself, where jobs
write nothing else, because hosts and containers may share the folder and nothing else.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from common.errors import BadInput

MARKS: Final = ".earshot"
"""The folder of the marks; no job writes files below a hidden folder."""


class OutputMarks:
    """The marks in the folder `root`: one small file for each file that earshot wrote."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def knows(self, path: Path) -> bool:
        """Tell whether a file holds what earshot wrote into it, or was allowed to replace."""
        try:
            marked = self._mark(path).read_text(encoding="ascii").split()
            return _digest(path) in marked
        except (OSError, ValueError):
            return False

    def allow(self, path: Path, *versions: Path) -> None:
        """Allow jobs to replace `path` as long as it holds the same as one of these files.

        Raises BadInput if the mark cannot be written.
        """
        mark = self._mark(path)
        try:
            mark.parent.mkdir(exist_ok=True)
            descriptor, part = mkstemp(dir=mark.parent)
            try:
                os.fchmod(descriptor, 0o644)  # the folder may be shared with other users
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.writelines(f"{_digest(one)}\n" for one in versions)
                os.replace(part, mark)  # noqa: PTH105  # mkstemp's name is a text
            except BaseException:
                with suppress(OSError):
                    os.unlink(part)  # noqa: PTH108
                raise
        except OSError as error:
            raise BadInput(f"{mark.parent} cannot be written: {error.strerror}") from None

    def _mark(self, path: Path) -> Path:
        name = os.fsencode(path.relative_to(self._root))
        return self._root / MARKS / hashlib.sha256(name).hexdigest()[:32]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
