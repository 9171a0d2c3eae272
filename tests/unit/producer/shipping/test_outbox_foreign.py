"""What has the name of an outbox and is none is left alone, and no other file is made beside it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from common.errors import BadInput
from producer.shipping.outbox import Outbox


def refused(opened: Callable[[], Outbox], path: Path, words: str) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(BadInput, match=words):
        opened()
    (path.parent / "s1.lock").unlink()
    before.pop("s1.lock", None)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(
    "table", ["bookmarks (url)", "waiting (place INTEGER PRIMARY KEY, guest TEXT)"]
)
def test_the_database_of_another_program_is_left_alone(
    table: str, mode: str, opened: Callable[[], Outbox], path: Path
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute(f"CREATE TABLE {table}")
    refused(opened, path, "is a database of another program: choose another --session")


@pytest.mark.parametrize("column", ["meta", "parked", "clock_s"])
def test_an_outbox_of_a_newer_version_is_left_alone(
    column: str, opened: Callable[[], Outbox], path: Path
) -> None:
    opened().close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"ALTER TABLE waiting RENAME COLUMN {column} TO something_else")
        db.execute("PRAGMA user_version = 2")
    refused(opened, path, "is of a newer version of earshot: upgrade")
