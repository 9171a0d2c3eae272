"""A disk that SQLite cannot write for a while, by what SQLite itself can be told."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import pytest

from producer.storage import database
from producer.storage.database import Database

Kind = Literal["full", "read-only", "locked"]

KINDS: Final[tuple[Kind, ...]] = ("full", "read-only", "locked")


class FailingDisk:
    """Fails for all connections, those that are open and new ones, until it is repaired.

    `full`: no database may grow (SQLITE_FULL). `read-only`: none may be written (SQLITE_READONLY).
    `locked`: another program holds the lock of the database `path` (SQLITE_BUSY).
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, kind: Kind) -> None:
        self._path = path
        self._kind = kind
        self._connections: list[Database] = []
        self._lock: sqlite3.Connection | None = None
        self.fails = False
        real = database.connect

        def connect(path: Path, query: str = "") -> Database:
            connection = real(path, query)
            self._connections.append(connection)
            if self.fails:
                self._limit(connection)
            return connection

        monkeypatch.setattr(database, "connect", connect)
        monkeypatch.setattr(database, "_BUSY_S", 0.01)

    def fail(self) -> None:
        """Begin to fail."""
        self.fails = True
        for connection in self._connections:
            self._limit(connection)
        if self._kind == "locked":
            self._lock = sqlite3.connect(self._path, check_same_thread=False)
            self._lock.execute("BEGIN IMMEDIATE")

    def repair(self) -> None:
        """Work again."""
        self.fails = False
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        for connection in self._connections:
            self._limit(connection)

    def _limit(self, connection: Database) -> None:
        try:
            if self._kind == "read-only":
                connection.execute(f"PRAGMA query_only = {int(self.fails)}")
            elif self._kind == "full":
                (pages,) = connection.execute("PRAGMA page_count").fetchone()
                connection.execute(f"PRAGMA max_page_count = {pages if self.fails else 2**30}")
        except sqlite3.Error:  # it is closed
            pass

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Fail in the context."""
        self.fail()
        try:
            yield
        finally:
            self.repair()
