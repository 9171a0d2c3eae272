"""Replacing a damaged outbox may be interrupted, or find no room: nothing is lost, and it goes on
later."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from producer.shipping.outbox import Outbox
from producer.storage import salvage as salvage_module
from producer.storage.database import PAGE_BYTES
from tests.support.damaged_outbox import BIG, COUNT, NAMES, damaged, pages_of, write
from tests.support.outboxes import Clocks, add, take_all


class Killed(BaseException):
    """As if the process were killed."""


def die_at(number: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the process die instead of the move of a file with that number; return those before."""
    moves: list[str] = []
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if len(moves) == number:
            raise Killed
        moved = real(self, target)
        moves.append(self.name)
        return moved

    monkeypatch.setattr(Path, "replace", replace)
    return moves


@pytest.mark.parametrize("killed_at", range(3))
def test_a_process_that_is_killed_while_it_saves_loses_nothing(
    killed_at: int, filled: Path, opened: Callable[[], Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(filled, pages_of(filled, "leaf")[3], bytes(PAGE_BYTES))
    with monkeypatch.context() as patched:
        moves = die_at(killed_at, patched)
        with pytest.raises(Killed):
            opened()
        assert len(moves) == killed_at
    outbox = opened()
    found = take_all(outbox)
    assert len(found) > COUNT // 2
    assert found == [name for name in NAMES if name in found]
    assert damaged(filled.parent) == ["s1.sqlite3.damaged-1"]
    assert not list(filled.parent.glob("*.new*"))
    assert not list(filled.parent.glob("*.salvaged*"))


@pytest.mark.parametrize("killed_at", range(3))
def test_the_wal_of_the_damaged_file_never_lies_beside_the_new_one(
    killed_at: int,
    opened: Callable[[], Outbox],
    path: Path,
    tmp_path: Path,
    clocks: Clocks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SQLite would write it into the new file."""
    add(opened(), "a", audio=BIG)
    folder = tmp_path / "killed"
    folder.mkdir()
    shutil.copy(tmp_path / "s1.sqlite3-wal", folder)
    (folder / path.name).touch()

    def start() -> Outbox:
        return Outbox(folder, "s1", max_bytes=10**8, max_age_s=60, clock=clocks.clock)

    with monkeypatch.context() as patched:
        moves = die_at(1 + killed_at, patched)  # after the new file got its name
        with pytest.raises(Killed):
            start()
        assert moves[1:] == ["s1.sqlite3-wal", "s1.sqlite3"][:killed_at]
    with start() as outbox:
        add(outbox, "b")
        assert take_all(outbox) == ["b"]
    kept = folder / "s1.sqlite3.damaged-1-wal"
    assert kept.read_bytes() == (tmp_path / "s1.sqlite3-wal").read_bytes()


def test_without_room_for_a_new_file_it_hears_and_saves_later(
    filled: Path,
    opened: Callable[[], Outbox],
    clocks: Clocks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(filled, pages_of(filled, "leaf")[3], bytes(PAGE_BYTES))
    full = shutil._ntuple_diskusage(10**9, 10**9, 0)
    with monkeypatch.context() as patched:
        patched.setattr(salvage_module, "disk_usage", lambda _: full)
        outbox = opened()
        add(outbox, "new", audio=BIG)
        assert "No space left" in outbox.disk_failure
        assert damaged(filled.parent) == []
        clocks.pass_(100)
        assert not outbox.recover()
    clocks.pass_(100)
    assert outbox.recover()
    found = take_all(outbox)
    assert found == [name for name in [*NAMES, "new"] if name in found]
    assert len(found) > COUNT // 2
