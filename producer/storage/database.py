"""The SQLite database in which an outbox lies: opening it, its tables, and what is none of ours."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from common.errors import BadInput
from producer.storage.disk_failure import DamagedFile, DiskError

APPLICATION_ID: Final = 0x45617273
"""`Ears` in ASCII, in the header of the file (sqlite.org/pragma.html#pragma_application_id)."""

VERSION: Final = 1
"""Of the tables below. 0: from before the first release, when there was only the wall clock."""

_TABLES: Final = (
    # what is looked for stands before the audio, so that no look has to pass it
    """
CREATE TABLE IF NOT EXISTS waiting (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    clock_s REAL NOT NULL,              -- end of speech by the clock below
    wall_s REAL NOT NULL,               -- the same by the wall clock, for people only
    parked TEXT,                        -- why Redis will never accept it
    meta TEXT NOT NULL,                 -- common.utterance.Utterance without the audio, JSON
    audio BLOB NOT NULL
)
""",
    """
CREATE TABLE IF NOT EXISTS clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    counted_s REAL NOT NULL,            -- what this clock showed
    boot TEXT NOT NULL,                 -- when the clock of this boot of the host
    elapsed_s REAL NOT NULL             -- showed this
)
""",
)

COLUMNS: Final = {"place", "clock_s", "wall_s", "parked", "meta", "audio"}

FIRST_COLUMNS: Final = {"place", "spoken_at", "meta", "audio", "parked"}
"""Those of version 0. `spoken_at` was the wall clock: it proves no age."""

PAGE_BYTES: Final = 4_096
"""The size of a page: SQLite's default, set so that a lost first page can be replaced."""

_BUSY_S: Final = 1.0
"""How long another program may lock the file before that counts as a failure."""

_WAL: Final = "-wal"


class Database(sqlite3.Connection):
    """A connection whose transactions begin where the code says so."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done in the context, or nothing of it."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:  # after some errors SQLite has rolled back by itself
                with suppress(sqlite3.Error):
                    self.execute("ROLLBACK")
            raise


def prepare(path: Path, *, read_only: bool = False) -> Database:
    """Open an outbox; unless `read_only`, make its tables or bring them to this version.

    Raises DamagedFile for a file that is no outbox any more, BadInput for one of another program or
    a newer version, and sqlite3.Error.
    """
    if size_of(wal_of(path)) and not size_of(path):
        # SQLite would delete the WAL of an empty file
        raise DamagedFile("it is empty, and its WAL is not")
    db = open_to_read(path) if read_only else connect(path)
    try:
        columns = columns_of(db)
        if read_only and not columns >= COLUMNS:
            raise DamagedFile("it has no table of an outbox")
        if not read_only:
            _make_tables(db, path, columns)
    except BaseException:
        db.close()
        raise
    return db


def connect(path: Path, query: str = "") -> Database:
    """Connect to a database; `query` is a part of the URI (sqlite.org/uri.html)."""
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path.absolute()))}{query}",
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
        factory=Database,
        uri=True,
    )


def open_to_read(path: Path) -> Database:
    """Connect without ever writing: not to the disk, and not to the database.

    SQLite can read a WAL only beside a file of shared memory, so it may make that one. Without a
    WAL it makes no file and takes no lock; then nobody else may write meanwhile.
    """
    return connect(path, "?mode=ro" if size_of(wal_of(path)) else "?mode=ro&immutable=1")


def wal_of(path: Path) -> Path:
    """Return the path of a database's WAL."""
    return path.with_name(path.name + _WAL)


def size_of(path: Path) -> int:
    """Return the size of a file (bytes); 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def columns_of(db: sqlite3.Connection) -> set[str]:
    """Return the columns of the table of utterances; none if there is no such table."""
    return {row[1] for row in db.execute("PRAGMA table_info(waiting)")}


def is_empty(path: Path) -> bool:
    """Return whether an outbox holds nothing, by reading it."""
    with closing(open_to_read(path)) as db:
        return not db.execute("SELECT count(*) FROM waiting").fetchone()[0]


def is_outbox(path: Path) -> bool:
    """Return whether a file is an outbox. It is only read: no lock, no other file, no change."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with closing(connect(path, "?mode=ro&immutable=1")) as db:
            return _number(db, "application_id") == APPLICATION_ID or columns_of(db) in (
                COLUMNS,
                FIRST_COLUMNS,
            )
    except DiskError:
        return False


def _make_tables(db: Database, path: Path, columns: set[str]) -> None:
    identity, version = _number(db, "application_id"), _number(db, "user_version")
    is_known = columns >= COLUMNS or columns >= FIRST_COLUMNS
    is_empty = not identity and not _number(db, "schema_version")
    if identity != APPLICATION_ID and not is_known and not is_empty:
        raise BadInput(f"{path} is a database of another program: choose another --session")
    if identity == APPLICATION_ID and version > VERSION:
        raise BadInput(f"{path} is of a newer version of earshot: upgrade, or move the file away")
    if columns and not is_known:
        raise DamagedFile(f"its table `waiting` has the columns {sorted(columns)}")
    if (identity, version) != (APPLICATION_ID, VERSION) or not columns:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        with db.transaction():
            if columns >= FIRST_COLUMNS:
                db.execute("ALTER TABLE waiting RENAME TO first_version")
            for table in _TABLES:
                db.execute(table)
            if columns >= FIRST_COLUMNS:
                db.execute(
                    "INSERT INTO waiting SELECT place, 0, spoken_at, parked, meta, audio"
                    " FROM first_version"
                )
                db.execute("DROP TABLE first_version")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
    # only now: what the file is stands in its own header, and not only in its WAL
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")


def _number(db: sqlite3.Connection, pragma: str) -> int:
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])
