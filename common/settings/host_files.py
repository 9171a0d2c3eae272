"""Files that settings name: whether one is there, or cannot be looked at."""

import stat
from pathlib import Path


def is_file(path: Path) -> bool:
    """Return whether a file is there. Raises OSError if that is unknown, as in a folder that may
    not be entered; of `Path.is_file` that depends on Python, and from 3.14 on it says no."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no path at all
        return False
