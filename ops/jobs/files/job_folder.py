"""The folder of the jobs: the only place where they read and write files.

Whoever may write into RQ's Redis can request a job with any names of files. So a job reads nothing
outside of its folder, and what it writes there has a name that no program runs by itself: a visible
file that ends as its format does. It replaces no file except one that earshot wrote.
"""

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

from common.errors import BadInput
from common.settings import JobSettings
from ops.jobs.files.output_marks import OutputMarks

NAME_MAX: Final = 4_096
"""Bytes of a path that Linux takes (PATH_MAX in limits.h)."""


class JobFolder:
    """The folder of the jobs on this host, `root`; symbolic links count as what they point to.

    Files in it are named by their path from the root, which means the same on every host that sees
    the folder, wherever it is mounted.
    """

    def __init__(self, settings: JobSettings) -> None:
        self.root = Path(os.path.realpath(settings.folder_path()))
        self.marks = OutputMarks(self.root)

    def name_of(self, path: Path) -> str | None:
        """Return the name of a file for a job; None if it is outside."""
        try:
            return str(self._follow(path).relative_to(self.root))
        except ValueError:
            return None

    def name_of_output(self, path: Path, suffixes: Collection[str]) -> str | None:
        """Return the name of a file that a job may write; None if it may not."""
        name = self.name_of(path)
        return None if name is None or _explain_bad_output(name, suffixes) else name

    def locate_input(self, name: str) -> Path:
        """Return the path of a file that a job reads; raises BadInput unless it may."""
        path = self._locate(name)
        try:
            kind = path.stat().st_mode
        except OSError as error:
            raise BadInput(
                f"{name} cannot be read in {self.root}, the folder of the jobs where `earshot jobs`"
                f" runs ({error.strerror}): put it there (EARSHOT_JOBS__FOLDER), or transcribe it"
                " with --here"
            ) from None
        if not stat.S_ISREG(kind):
            raise BadInput(f"{name} is no file")
        return path

    def locate_output(self, name: str, suffixes: Collection[str]) -> Path:
        """Return the path of a file that a job writes.

        Raises BadInput unless the job may write it, and may replace what is there.
        """
        path = self._locate(name)
        if why := _explain_bad_output(str(path.relative_to(self.root)), suffixes):
            raise BadInput(f"a job does not write {name}: {why}")
        self.check_replaceable(path)
        return path

    def check_replaceable(self, path: Path) -> None:
        """Raise BadInput if there is something that earshot has not written."""
        if os.path.lexists(path) and not (path.is_file() and self.marks.knows(path)):
            raise BadInput(
                f"{path} exists, and earshot did not write it, or somebody has changed it since:"
                " a job does not replace it. Use --overwrite where the folder is, or another name"
            )

    def allow_replacing(self, path: Path) -> None:
        """Let jobs replace a file as it is now, because somebody here asked for that.

        Raises BadInput if it is outside, or the folder cannot be written.
        """
        real = self._locate(str(self._follow(path)))
        if not self.marks.knows(real):
            self.marks.allow(real, real)

    def _locate(self, name: str) -> Path:
        """Return the path behind a name; raises BadInput if it is outside."""
        path = self._follow(self.root / name) if _is_name(name) else None
        if path is None or not path.is_relative_to(self.root) or path == self.root:
            raise BadInput(
                f"{name[:200]!r} is outside of {self.root}, the folder of the jobs: put the file"
                " there, or set EARSHOT_JOBS__FOLDER, where `earshot jobs` runs and where you ask"
            )
        return path

    def _follow(self, path: Path) -> Path:
        return Path(os.path.realpath(path))


def _is_name(name: str) -> bool:
    try:
        return 0 < len(os.fsencode(name)) <= NAME_MAX and "\0" not in name
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold
        return False


def _explain_bad_output(name: str, suffixes: Collection[str]) -> str:
    """Explain why no job writes a file of this name; empty if one may."""
    path = Path(name)
    if any(part.startswith(".") for part in path.parts):
        return "it is hidden, or in a hidden folder"
    if path.suffix.lower() not in suffixes:
        return f"its name must end in {' or '.join(sorted(suffixes))}"
    return ""
