"""A damaged outbox ends no start: it is put aside, whole, and what can be read of it is sent."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from producer.shipping.outbox import Outbox
from producer.storage import disk as disk_module
from producer.storage.database import PAGE_BYTES
from producer.storage.outbox_file import OutboxFile, Row
from tests.support.damaged_outbox import BIG, COUNT, NAMES, damaged, pages_of, write
from tests.support.outboxes import Clocks, add, take_all


def test_a_file_that_is_no_database_is_put_aside_and_a_new_one_begun(
    opened: Callable[[], Outbox], path: Path
) -> None:
    content = b"something else" * 1_000
    path.write_bytes(content)
    with capture_logs() as logs:
        outbox = opened()
    (told,) = logs
    assert (told["event"], told["log_level"]) == ("outbox_damaged", "error")
    assert told["why"] == "file is not a database"
    assert Path(told["kept_as"]).read_bytes() == content
    add(outbox, "a")
    outbox = opened()
    assert take_all(outbox) == ["a"]
    assert damaged(path.parent) == ["s1.sqlite3.damaged-1"]


def test_each_damaged_file_is_kept(opened: Callable[[], Outbox], path: Path) -> None:
    for number in range(3):
        opened().close()
        path.write_bytes(b"%d" % number * 5_000)
        opened().close()
    assert [(path.parent / name).read_bytes()[:1] for name in damaged(path.parent)] == [
        b"0",
        b"1",
        b"2",
    ]


@pytest.mark.parametrize("which", [0, 1, 5, -1])
@pytest.mark.parametrize("data", [bytes(PAGE_BYTES), b"\xff" * PAGE_BYTES], ids=["zeros", "ones"])
@pytest.mark.parametrize("kind", ["leaf", "overflow"])
def test_what_lies_beside_the_damage_is_all_sent_in_order(
    kind: str, data: bytes, which: int, filled: Path, opened: Callable[[], Outbox]
) -> None:
    pages = pages_of(filled, kind)
    per_leaf = -(-COUNT // len(pages_of(filled, "leaf")))
    write(filled, pages[which], data)
    outbox = opened()
    add(outbox, "new", audio=BIG)
    found = take_all(outbox)
    lost = set(NAMES) - set(found)
    whole = [name for name in NAMES if name not in lost]
    assert found == [*whole, "new"]
    assert len(lost) <= (2 * per_leaf if kind == "leaf" else 1), "no more than that page held"


def test_two_damages_cost_no_more_than_what_they_hit(
    filled: Path, opened: Callable[[], Outbox]
) -> None:
    pages = pages_of(filled, "overflow")
    for which in (3, len(pages) // 2, -3):
        write(filled, pages[which], b"\xff" * PAGE_BYTES)
    with capture_logs() as logs:
        outbox = opened()
        found = take_all(outbox)
    assert len(found) == COUNT - 3
    assert found == [name for name in NAMES if name in found]
    (told,) = [line for line in logs if line["event"] == "outbox_damaged"]
    assert told["utterances_saved"] == len(found) - 1, "the first was sent before"


@pytest.mark.parametrize(
    "data", [bytes(PAGE_BYTES), bytes(100), b"\xff" * 512], ids=["page", "header", "sector"]
)
def test_the_loss_of_the_first_page_costs_nothing(
    data: bytes, filled: Path, opened: Callable[[], Outbox]
) -> None:
    write(filled, 1, data)
    assert take_all(opened()) == NAMES
    assert sorted(path.name for path in filled.parent.iterdir()) == [
        *("s1.lock", "s1.sqlite3", "s1.sqlite3-shm", "s1.sqlite3-wal", "s1.sqlite3.damaged-1")
    ]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_of_a_file_that_was_cut_off_the_rest_is_sent(
    share: float, filled: Path, opened: Callable[[], Outbox]
) -> None:
    whole = filled.stat().st_size
    with filled.open("r+b") as file:
        file.truncate(round(share * whole))
    found = take_all(opened())
    assert found == [name for name in NAMES if name in found]
    assert len(found) >= share * COUNT - 10
    (kept,) = damaged(filled.parent)
    assert (filled.parent / kept).stat().st_size == round(share * whole)


def test_what_was_only_in_the_wal_is_sent(
    opened: Callable[[], Outbox], path: Path, tmp_path: Path, clocks: Clocks
) -> None:
    """A killed process leaves its WAL; then the file itself is damaged."""
    outbox = opened()
    add(outbox, "a", "b", audio=BIG)
    folder = tmp_path / "killed"
    folder.mkdir()
    for file in tmp_path.glob("s1.sqlite3*"):
        shutil.copy(file, folder)
    write(folder / path.name, 1, bytes(PAGE_BYTES))
    with Outbox(folder, "s1", max_bytes=10**8, max_age_s=60, clock=clocks.clock) as found:
        assert take_all(found) == ["a", "b"]


@pytest.mark.parametrize("is_there", [True, False])
def test_an_empty_file_beside_a_wal_is_damage(
    is_there: bool, opened: Callable[[], Outbox], path: Path, tmp_path: Path, clocks: Clocks
) -> None:
    """SQLite would take the file for a new one, and delete the WAL."""
    add(opened(), "a", audio=BIG)
    folder = tmp_path / "killed"
    folder.mkdir()
    shutil.copy(tmp_path / "s1.sqlite3-wal", folder)
    if is_there:
        (folder / path.name).touch()
    with Outbox(folder, "s1", max_bytes=10**8, max_age_s=60, clock=clocks.clock) as found:
        add(found, "b")
        assert take_all(found) == ["b"]
    kept = folder / "s1.sqlite3.damaged-1-wal"
    assert kept.read_bytes() == (tmp_path / "s1.sqlite3-wal").read_bytes()


def test_damage_while_it_is_used_stops_nothing(filled: Path, opened: Callable[[], Outbox]) -> None:
    outbox = opened()
    on_its_way = outbox.first()
    assert on_its_way is not None
    overflow = pages_of(filled, "overflow")
    write(filled, overflow[30], b"\xff" * PAGE_BYTES)
    with capture_logs() as logs:
        outbox.forget(on_its_way.place)
        add(outbox, "new", audio=BIG)
        found = take_all(outbox)
    assert [line["event"] for line in logs] == ["outbox_damaged"]
    assert len(found) >= COUNT - 1
    assert found == [name for name in [*NAMES[1:], "new"] if name in found]
    assert len(outbox) == 0


def test_no_place_is_given_twice(filled: Path, opened: Callable[[], Outbox]) -> None:
    """Else the acknowledgement of one that is on its way would delete another."""
    outbox = opened()
    on_its_way = outbox.first()
    assert on_its_way is not None
    write(filled, 2, b"\xff" * (filled.stat().st_size - PAGE_BYTES))  # nothing can be read
    file = outbox._disk.file
    assert file is not None
    file._db.execute("PRAGMA shrink_memory")  # nor from SQLite's cache
    add(outbox, "new")
    assert damaged(filled.parent)
    outbox.forget(on_its_way.place)
    assert take_all(outbox) == ["new"]


def test_parked_ones_and_ages_are_saved_too(
    filled: Path, opened: Callable[[], Outbox], clocks: Clocks
) -> None:
    with opened() as outbox:
        parked = outbox.first()
        assert parked is not None
        outbox.park(parked.place, "Redis said so")
        clocks.pass_(50)
    write(filled, pages_of(filled, "leaf")[-1], bytes(PAGE_BYTES))
    outbox = opened()
    assert outbox.depth().parked == 1
    first = outbox.first()
    assert first is not None
    assert first.utterance.hold_ms == 50_000
    with closing(sqlite3.connect(filled)) as db:
        assert db.execute("SELECT parked FROM waiting WHERE parked > ''").fetchall() == [
            ("Redis said so",)
        ]


def test_what_the_disk_cannot_read_is_not_in_the_way_for_ever(
    filled: Path, opened: Callable[[], Outbox], clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector gives an error at each try; what lies behind it can be read."""
    real = OutboxFile.first

    def first(self: OutboxFile, **options: float) -> Row | None:
        row = real(self, **options)  # type: ignore[arg-type]
        if row is not None and row.place == 1:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise error
        return row

    outbox = opened()
    monkeypatch.setattr(OutboxFile, "first", first)
    with capture_logs() as logs:
        for number in range(disk_module._UNREADABLE):
            waiting = outbox.first()
            assert waiting is None or waiting.utterance.id == "new0", "it sends what it can"
            clocks.pass_(100)
            add(outbox, f"new{number}")
        monkeypatch.setattr(OutboxFile, "first", real)  # the new file lies on other sectors
        clocks.pass_(100)
        assert take_all(outbox) == [*NAMES, "new0", "new1", "new2", "new3"]
    assert [line["event"] for line in logs] == [
        *("outbox_disk_failed", "outbox_damaged", "outbox_disk_works_again")
    ]
    assert damaged(filled.parent) == ["s1.sqlite3.damaged-1"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE waiting SET meta = CAST(x'ff00fe' AS TEXT) WHERE place = 1",
        "UPDATE waiting SET meta = x'00', audio = 'text' WHERE place = 1",
        "UPDATE waiting SET meta = '', clock_s = 'noon' WHERE place = 1",
    ],
)
def test_a_row_that_is_no_text_blocks_nobody(
    damage: str, filled: Path, opened: Callable[[], Outbox]
) -> None:
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute(damage)
    with capture_logs() as logs:
        assert take_all(opened()) == NAMES[1:]
    assert [line["event"] for line in logs] == ["utterance_parked"]
