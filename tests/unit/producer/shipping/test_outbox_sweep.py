"""The sweep looks at outboxes alone, and no producer that starts ever meets it."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.settings import ListenSettings
from common.utterance import Utterance
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_folder import (
    VISITORS,
    close_outbox,
    list_sessions,
    open_outbox,
    sweep_outboxes,
)
from producer.storage.outbox_file import OutboxFile
from tests.support.outboxes import Clocks

HOUR = 3_600.0


@pytest.fixture
def settings(tmp_path: Path) -> ListenSettings:
    return ListenSettings(outbox=str(tmp_path), outbox_max_age_s=HOUR)


def fill(folder: Path, session: str, *ages_s: float) -> None:
    patient = ListenSettings(outbox_max_age_s=1e6)
    with open_outbox(patient, session, folder) as outbox:
        for age_s in ages_s:
            said = Utterance(id=f"u{age_s:.0f}", session=session, samples=1, audio=b"x")
            outbox.add(said, age_s=age_s)


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, when it was changed, and what is in it."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def make_foreign(path: Path, *, mode: str, rows: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute("CREATE TABLE waiting (at REAL, spoken_at REAL, parked TEXT)")
        db.executemany("INSERT INTO waiting VALUES (0, 0, NULL)", [()] * rows)


# -- what it looks at


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_databases_of_others_are_not_changed_and_get_no_file_beside_them(
    mode: str, settings: ListenSettings, tmp_path: Path
) -> None:
    for place in ("", VISITORS, "browser/profile", f"{VISITORS}/deeper"):
        make_foreign(tmp_path / place / "places.sqlite3", mode=mode)
    before = state(tmp_path)
    with capture_logs() as logs:
        assert sweep_outboxes(settings) == 0
    assert state(tmp_path) == before
    assert logs == []


def test_a_database_that_another_program_writes_just_now_is_not_changed(
    settings: ListenSettings, tmp_path: Path
) -> None:
    path = tmp_path / "live.sqlite3"
    make_foreign(path, mode="wal")
    with closing(sqlite3.connect(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM waiting")
        before = state(tmp_path)
        assert sweep_outboxes(settings) == 0
        assert state(tmp_path) == before
        db.execute("COMMIT")


def test_other_files_with_that_ending_are_not_opened(
    settings: ListenSettings, tmp_path: Path
) -> None:
    (tmp_path / "text.sqlite3").write_text("SQLite format 3")
    (tmp_path / "empty.sqlite3").touch()
    (tmp_path / "folder.sqlite3").mkdir()
    os.mkfifo(tmp_path / "pipe.sqlite3")  # to open it would wait for ever
    (tmp_path / "no such.sqlite3").symlink_to(tmp_path / "nothing")
    fill(tmp_path / "elsewhere", "s1", 2 * HOUR)
    (tmp_path / "linked.sqlite3").symlink_to(tmp_path / "elsewhere" / "s1.sqlite3")
    fill(tmp_path, "s2", 2 * HOUR)
    shutil.copy(tmp_path / "s2.sqlite3", tmp_path / "no session!.sqlite3")
    before = state(tmp_path)
    assert list_sessions(tmp_path) == ["s2"]
    assert sweep_outboxes(settings) == 1
    after = state(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"s2.sqlite3"}


def test_an_outbox_that_is_deeper_belongs_to_somebody_else(
    settings: ListenSettings, tmp_path: Path
) -> None:
    fill(tmp_path / "other" / "outbox", "s1", 2 * HOUR)
    before = state(tmp_path)
    assert sweep_outboxes(settings) == 0
    assert state(tmp_path) == before


def test_an_empty_outbox_is_only_looked_at(settings: ListenSettings, tmp_path: Path) -> None:
    fill(tmp_path, "s1")
    before = state(tmp_path)
    assert sweep_outboxes(settings) == 0
    assert state(tmp_path) == before


def test_a_damaged_outbox_is_left_for_its_producer(
    settings: ListenSettings, tmp_path: Path
) -> None:
    fill(tmp_path, "s1", *[2 * HOUR] * 50)
    with (tmp_path / "s1.sqlite3").open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * 4_096)
    before = state(tmp_path)
    with capture_logs() as logs:
        assert sweep_outboxes(settings) == 0
    assert state(tmp_path) == before
    assert [(line["event"], line["session"]) for line in logs] == [("outbox_not_swept", "s1")]


def test_an_outbox_of_the_version_before_is_swept_from_now_on(
    settings: ListenSettings, tmp_path: Path, clocks: Clocks
) -> None:
    with closing(sqlite3.connect(tmp_path / "s1.sqlite3")) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "CREATE TABLE waiting (place INTEGER PRIMARY KEY AUTOINCREMENT,"
            " spoken_at REAL NOT NULL, meta TEXT NOT NULL, audio BLOB NOT NULL, parked TEXT)"
        )
        db.execute("INSERT INTO waiting (spoken_at, meta, audio) VALUES (0, '{}', x'00')")
    assert list_sessions(tmp_path) == ["s1"]
    assert sweep_outboxes(settings, clocks.clock) == 0, "its age is not known"
    clocks.pass_(HOUR + 1)
    assert sweep_outboxes(settings, clocks.clock) == 1


def test_parked_ones_grow_old_too(settings: ListenSettings, tmp_path: Path) -> None:
    fill(tmp_path, "s1", 2 * HOUR, 60)
    with open_outbox(ListenSettings(outbox_max_age_s=1e6), "s1", tmp_path) as outbox:
        outbox.park(1, "Redis said so")
    assert sweep_outboxes(settings) == 1
    with open_outbox(settings, "s1", tmp_path) as outbox:
        depth = outbox.depth()
        assert (depth.waiting, depth.parked) == (1, 0)


# -- who meets it


def test_who_starts_in_the_middle_of_it_waits_and_is_not_refused(
    settings: ListenSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "s1", 2 * HOUR, 60)
    is_sweeping, may_go_on = threading.Event(), threading.Event()
    real = OutboxFile.find_stale

    def find_stale(self: OutboxFile, max_age_s: float) -> list[int]:
        is_sweeping.set()
        assert may_go_on.wait(60)
        return real(self, max_age_s)

    monkeypatch.setattr(OutboxFile, "find_stale", find_stale)
    swept: list[int] = []
    opened: list[int] = []

    def start() -> None:
        with open_outbox(settings, "s1", tmp_path) as outbox:
            opened.append(len(outbox))

    sweeping = threading.Thread(target=lambda: swept.append(sweep_outboxes(settings)))
    starting = threading.Thread(target=start)
    sweeping.start()
    assert is_sweeping.wait(60)
    starting.start()
    starting.join(timeout=0.3)
    assert opened == [], "it waits"
    may_go_on.set()
    for thread in (sweeping, starting):
        thread.join(timeout=60)
    assert (swept, opened) == ([1], [1])


SWEEP_FOR_EVER = """
import sys
from common.settings import ListenSettings
from producer.shipping.outbox_folder import sweep_outboxes

settings = ListenSettings(outbox=sys.argv[1], outbox_max_age_s=3600)
print("begun", flush=True)
while True:
    sweep_outboxes(settings)
"""


@pytest.fixture
def sweeping(tmp_path: Path) -> Iterator[None]:
    """Two other processes that do nothing but sweep."""
    command = [sys.executable, "-c", SWEEP_FOR_EVER, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
        yield
        assert [process.poll() for process in processes] == [None, None]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.usefixtures("sweeping")
def test_no_start_meets_a_sweep(settings: ListenSettings, tmp_path: Path) -> None:
    for number in range(30):
        with open_outbox(settings, "s1", tmp_path) as outbox:
            assert len(outbox) == number
            assert not outbox.disk_failure
            outbox.add(Utterance(id=f"u{number}", session="s1", samples=1, audio=b"x"), age_s=0)


@pytest.mark.usefixtures("sweeping")
def test_an_outbox_comes_and_goes_while_it_is_swept(
    settings: ListenSettings, tmp_path: Path
) -> None:
    for number in range(20):
        outbox = open_outbox(settings, "s1", tmp_path)
        outbox.add(Utterance(id=f"u{number}", session="s1", samples=1, audio=b"x"), age_s=0)
        waiting = outbox.first()
        assert waiting is not None
        assert waiting.utterance.id == f"u{number}"
        outbox.forget(waiting.place)
        close_outbox(outbox)
        assert list_sessions(tmp_path) == []


def test_the_outbox_of_a_running_producer_is_not_touched(
    settings: ListenSettings, tmp_path: Path, clocks: Clocks
) -> None:
    with Outbox(tmp_path, "s1", max_bytes=1_000, max_age_s=1e6, clock=clocks.clock) as outbox:
        outbox.add(Utterance(id="a", session="s1", samples=1, audio=b"x"), age_s=2 * HOUR)
        before = state(tmp_path)
        assert sweep_outboxes(settings, clocks.clock) == 0
        assert state(tmp_path) == before


# -- deleting


def test_an_outbox_that_another_process_has_filled_meanwhile_is_not_deleted(
    settings: ListenSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = open_outbox(settings, "s1", tmp_path)
    close: Callable[[], None] = outbox.close

    def close_and_be_overtaken() -> None:
        close()
        fill(tmp_path, "s1", 60)

    monkeypatch.setattr(outbox, "close", close_and_be_overtaken)
    close_outbox(outbox)
    assert list_sessions(tmp_path) == ["s1"]
    with open_outbox(settings, "s1", tmp_path) as found:
        assert len(found) == 1


def test_an_outbox_that_another_process_has_opened_meanwhile_is_not_deleted(
    settings: ListenSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = open_outbox(settings, "s1", tmp_path)
    close: Callable[[], None] = outbox.close
    others: list[Outbox] = []

    def close_and_be_overtaken() -> None:
        close()
        others.append(open_outbox(settings, "s1", tmp_path))

    monkeypatch.setattr(outbox, "close", close_and_be_overtaken)
    close_outbox(outbox)
    with others[0] as other:
        other.add(Utterance(id="a", session="s1", samples=1, audio=b"x"), age_s=0)
    assert list_sessions(tmp_path) == ["s1"]
