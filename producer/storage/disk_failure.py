"""What the errors of a disk and of SQLite mean for an outbox."""

import errno
import sqlite3
from typing import Final

DiskError: Final = (OSError, sqlite3.Error)
"""What reading and writing an outbox may raise."""

_PERSON_CAN_MEND: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    }
)
"""The folder is not usable as it was given. Waiting does not help, unlike with a full disk."""

_PRIMARY_CODE: Final = 0xFF
"""SQLite's extended result codes hold the primary one in their lowest byte (sqlite.org/rescode)."""

_DAMAGED: Final = frozenset({11, 26})
"""SQLITE_CORRUPT and SQLITE_NOTADB. Numbers: Python knows only the names of the SQLite that it was
built with."""

_UNREADABLE: Final = frozenset({266, 522, 8202, 8458})
"""SQLITE_IOERR_READ, _SHORT_READ, _DATA and _CORRUPTFS."""


class DamagedFile(sqlite3.DatabaseError):
    """The file is no outbox any more, though SQLite can open it."""


def is_wrong_folder(error: Exception) -> bool:
    """Return whether the folder itself is the mistake: it does not exist, or is not ours."""
    return isinstance(error, OSError) and error.errno in _PERSON_CAN_MEND


def is_damage(error: Exception) -> bool:
    """Return whether the file is damaged: it must be replaced, and waiting does not help."""
    if isinstance(error, DamagedFile):
        return True
    code = getattr(error, "sqlite_errorcode", None)  # None: not raised by SQLite itself
    return code is not None and code & _PRIMARY_CODE in _DAMAGED


def is_unreadable(error: Exception) -> bool:
    """Return whether the disk failed to read; it may do better in a moment."""
    return getattr(error, "sqlite_errorcode", None) in _UNREADABLE


def explain_disk_failure(error: Exception) -> str:
    """Return in a few words why the disk cannot be used."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
