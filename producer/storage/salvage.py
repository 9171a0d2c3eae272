"""Replacing a damaged outbox: what can be read of it goes into a new file, and it is kept itself.

The damaged file is kept as `SESSION.sqlite3.damaged-1`, its WAL as `SESSION.sqlite3.damaged-1-wal`.

To be killed in the middle of it loses nothing. The new file is complete, under a name of its own,
before anything is moved; the next start finds it there and goes on.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import copyfile, disk_usage
from typing import Any, Final

from producer.storage.database import (
    COLUMNS,
    PAGE_BYTES,
    Database,
    columns_of,
    open_to_read,
    prepare,
    size_of,
    wal_of,
)

_MOST_PLACES: Final = 1_000_000
"""How many places are tried one by one, between what could be read in a row: they take seconds."""

_LARGEST: Final = 2**53
"""A place above it is damage: nobody says so many utterances."""

_PAGES_AT: Final = slice(28, 32)
"""Where the header says how many pages there are (sqlite.org/fileformat.html#the_database_header).
"""

Values = tuple[Any, ...]
"""The columns of the table `waiting`."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What became of a damaged outbox."""

    kept_as: Path
    utterances: int
    """How many could be read: the new file holds them."""


def salvage(path: Path, *, last_place: int = 0) -> Salvaged:
    """Replace a damaged outbox that nobody has open, and whose lock the caller holds.

    No place up to `last_place` is given again. Raises OSError or sqlite3.Error when the disk takes
    no new file; then all is as before.
    """
    fresh = _beside(path, "new")
    fresh.unlink(missing_ok=True)
    needed = size_of(path) + size_of(wal_of(path))
    if disk_usage(path.parent).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    utterances = _copy(path, fresh, last_place)
    fresh.replace(_beside(path, "salvaged"))
    return Salvaged(finish_salvage(path), utterances)


def finish_salvage(path: Path) -> Path:
    """Put a complete new file, if there is one, where the damaged one is.

    Return where the damaged one is kept. Raises OSError.
    """
    kept = next(name for name in _names(path) if not name.exists())
    complete = _beside(path, "salvaged")
    if complete.exists():
        # the WAL first: beside the new file it would destroy that one
        for file, to in ((wal_of(path), wal_of(kept)), (path, kept)):
            with suppress(FileNotFoundError):
                file.replace(to)
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        complete.replace(path)
        _synchronise(path.parent)
    return kept


def _names(path: Path) -> Iterator[Path]:
    return (_beside(path, f"damaged-{number}") for number in count(1))


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}.{what}")


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(path: Path, fresh: Path, last_place: int) -> int:
    """Make a new outbox with all that can be read of another; return how many utterances."""
    with closing(prepare(fresh)) as new:
        # without a WAL: what is committed is in the one file that gets another name
        if new.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",):
            raise sqlite3.OperationalError("the new file cannot be written")
        with new.transaction():
            if size_of(path):
                with _open_damaged(path, fresh) as old:
                    last_place = max(last_place, _find_last_place(old))
                    _copy_rows(old, new, last_place)
                    _copy_clock(old, new)
            utterances, highest = new.execute(
                "SELECT count(*), coalesce(max(place), 0) FROM waiting"
            ).fetchone()
            new.execute("DELETE FROM sqlite_sequence")
            new.execute(
                "INSERT INTO sqlite_sequence VALUES (?, ?)", ("waiting", max(last_place, highest))
            )
    return int(utterances)


@contextmanager
def _open_damaged(path: Path, fresh: Path) -> Iterator[Database]:
    """Open a damaged outbox; if its first page is lost, a copy of it with that of a new outbox.

    The first page says where the tables begin, and that is the same in all outboxes.
    """
    with closing(open_to_read(path)) as old:
        if _has_tables(old):
            yield old
            return
    patched = _beside(path, "patched")
    try:
        for file, to in ((path, patched), (wal_of(path), wal_of(patched))):
            with suppress(FileNotFoundError):
                copyfile(file, to)
        with fresh.open("rb") as new, patched.open("r+b") as copy:
            page = bytearray(new.read(PAGE_BYTES))
            pages = size_of(path) // PAGE_BYTES
            page[_PAGES_AT] = pages.to_bytes(4, "big")
            copy.write(page)
        with closing(open_to_read(patched)) as old:
            yield old
    finally:
        for file in (patched, wal_of(patched), patched.with_name(f"{patched.name}-shm")):
            file.unlink(missing_ok=True)


def _has_tables(old: Database) -> bool:
    try:
        return bool(columns_of(old))
    except sqlite3.Error:
        return False


def _copy_rows(old: Database, new: Database, last_place: int) -> None:
    for place, clock_s, wall_s, parked, meta, audio in _read_rows(old, last_place):
        if place <= _LARGEST:
            # as text whatever its bytes are: the outbox parks what is no JSON
            new.execute(
                "INSERT OR IGNORE INTO waiting (place, clock_s, wall_s, parked, meta, audio)"
                " VALUES (?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?)",
                (place, clock_s or 0.0, wall_s or 0.0, parked, meta or b"", audio or b""),
            )


def _copy_clock(old: Database, new: Database) -> None:
    """Copy the clock; without it, ages count from the latest utterance."""
    with suppress(sqlite3.Error):
        row = old.execute("SELECT counted_s, boot, elapsed_s FROM clock").fetchone()
        if row is not None:
            new.execute("INSERT INTO clock VALUES (1, ?, ?, ?)", row)


def _read_rows(old: Database, last_place: int) -> Iterator[Values]:
    """Yield rows from the first up to the damage, from the last down to it, and between the two."""
    if not _has_tables(old):
        return
    is_first_version = not columns_of(old) >= COLUMNS
    wall_s, clock_s = ("spoken_at", "0") if is_first_version else ("wall_s", "clock_s")
    rows = (
        f"SELECT place, CAST({clock_s} AS REAL), CAST({wall_s} AS REAL), CAST(parked AS BLOB),"
        " CAST(meta AS BLOB), CAST(audio AS BLOB) FROM waiting WHERE place"
    )
    low, high = -1, last_place + 1
    try:
        for row in old.execute(f"{rows} > ? ORDER BY place", (low,)):
            low = row[0]
            yield row
    except sqlite3.Error:
        pass
    else:
        return
    with suppress(sqlite3.Error):
        for row in old.execute(f"{rows} > ? ORDER BY place DESC", (low,)):
            high = row[0]
            yield row
    for place in range(max(low + 1, high - _MOST_PLACES), high):
        with suppress(sqlite3.Error):
            yield from old.execute(f"{rows} = ?", (place,))


def _find_last_place(old: Database) -> int:
    try:
        (place,) = old.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
    except sqlite3.Error:
        return 0
    return place if isinstance(place, int) and place <= _LARGEST else 0
