"""While the disk fails, nothing that is said is lost: it waits in memory, goes out in order, and is
on the disk as soon as that can be written."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from producer.shipping.outbox import Outbox, Waiting
from producer.storage import memory as memory_module
from producer.storage.outbox_report import Dropped
from tests.support.failing_disk import KINDS, FailingDisk, Kind
from tests.support.metric_samples import growth
from tests.support.outboxes import AUDIO, Clocks, add, take_all

BIG = AUDIO * 100
"""12 kB, so that it needs pages of its own."""


@pytest.fixture(params=KINDS)
def disk(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FailingDisk]:
    kind: Kind = request.param
    disk = FailingDisk(monkeypatch, tmp_path / "s1.sqlite3", kind)
    yield disk
    disk.repair()


@pytest.fixture
def outbox(disk: FailingDisk, reopen: Callable[..., Outbox]) -> Outbox:
    """An outbox with room, on the disk that fails."""
    return reopen(max_bytes=10**6, max_age_s=3_600)


def say(outbox: Outbox, *names: str) -> list[Dropped | None]:
    return add(outbox, *names, audio=BIG)


def first(outbox: Outbox) -> Waiting:
    waiting = outbox.first()
    assert waiting is not None
    return waiting


def let_it_recover(outbox: Outbox, clocks: Clocks) -> None:
    clocks.pass_(100)  # the pause between two tries
    outbox.recover()
    assert not outbox.disk_failure


def on_disk(folder: Path, clocks: Clocks) -> list[str]:
    """What the next process would find, if this one were killed now."""
    copy = folder / "copy"
    copy.mkdir()
    for path in folder.glob("s1.sqlite3*"):
        shutil.copy(path, copy)
    try:
        with Outbox(copy, "s1", max_bytes=10**6, max_age_s=3_600, clock=clocks.clock) as found:
            return take_all(found)
    finally:
        shutil.rmtree(copy)


def test_what_is_said_meanwhile_goes_out_behind_what_was_said_before(
    outbox: Outbox, disk: FailingDisk
) -> None:
    say(outbox, "a", "b")
    disk.fail()
    assert say(outbox, "c", "d", "e") == [None] * 3
    assert len(outbox) == 5
    assert first(outbox).utterance.audio == BIG
    assert take_all(outbox) == ["a", "b", "c", "d", "e"]
    assert len(outbox) == 0
    assert outbox.first() is None


def test_it_is_on_the_disk_when_there_is_room_again(
    outbox: Outbox, disk: FailingDisk, tmp_path: Path, clocks: Clocks
) -> None:
    say(outbox, "a")
    with disk.failing():
        say(outbox, "b", "c")
    assert on_disk(tmp_path, clocks) == ["a"]
    let_it_recover(outbox, clocks)
    assert on_disk(tmp_path, clocks) == ["a", "b", "c"]
    say(outbox, "d")
    assert on_disk(tmp_path, clocks) == ["a", "b", "c", "d"]
    assert take_all(outbox) == ["a", "b", "c", "d"]


def test_nothing_overtakes_what_waits_in_memory(
    outbox: Outbox, disk: FailingDisk, clocks: Clocks
) -> None:
    """The disk works again, and nobody has tried it yet."""
    with disk.failing():
        say(outbox, "a", "b")
    say(outbox, "c")
    clocks.pass_(100)
    say(outbox, "d")
    assert take_all(outbox) == ["a", "b", "c", "d"]


def test_the_log_says_so_once_and_once_that_it_is_over(
    outbox: Outbox, disk: FailingDisk, clocks: Clocks
) -> None:
    with capture_logs() as logs:
        with disk.failing():
            for number in range(5):
                say(outbox, f"u{number}")
                clocks.pass_(100)
                outbox.recover()
            assert outbox.disk_failure
        let_it_recover(outbox, clocks)
        assert outbox.disk_failure == ""
    events = [(line["event"], line["log_level"]) for line in logs]
    assert events == [("outbox_disk_failed", "error"), ("outbox_disk_works_again", "info")]
    assert logs[0]["session"] == "s1"
    assert logs[0]["why"]


def test_its_depth_tells_what_is_in_memory(
    outbox: Outbox, disk: FailingDisk, clocks: Clocks
) -> None:
    say(outbox, "a")
    clocks.pass_(7)
    with disk.failing():
        say(outbox, "b", "c")
        depth = outbox.depth()
        assert (depth.waiting, depth.in_memory, depth.disk_works) == (3, 2, False)
        assert (depth.size_bytes, depth.oldest_s) == (3 * len(BIG), 7)
    let_it_recover(outbox, clocks)
    depth = outbox.depth()
    assert (depth.waiting, depth.in_memory, depth.disk_works) == (3, 0, True)


# -- what becomes of those that are sent meanwhile


def test_what_redis_has_taken_is_not_sent_again_by_this_process(
    outbox: Outbox, disk: FailingDisk, tmp_path: Path, clocks: Clocks
) -> None:
    say(outbox, "a", "b", "c")
    with disk.failing():
        say(outbox, "d")
        for name in ("a", "b"):
            waiting = first(outbox)
            assert waiting.utterance.id == name
            outbox.forget(waiting.place)
            outbox.forget(waiting.place)  # twice does no harm
        assert len(outbox) == 2
        assert first(outbox).utterance.id == "c"
    let_it_recover(outbox, clocks)
    assert on_disk(tmp_path, clocks) == ["c", "d"]
    assert take_all(outbox) == ["c", "d"]


def test_one_that_is_on_its_way_when_the_disk_recovers_is_forgotten_all_the_same(
    outbox: Outbox, disk: FailingDisk, tmp_path: Path, clocks: Clocks
) -> None:
    with disk.failing():
        say(outbox, "a", "b")
        waiting = first(outbox)
        assert first(outbox) == waiting
    let_it_recover(outbox, clocks)
    outbox.forget(waiting.place)
    outbox.forget(waiting.place)
    assert on_disk(tmp_path, clocks) == ["b"]
    assert take_all(outbox) == ["b"]


def test_what_is_parked_or_renamed_meanwhile_stays_so(
    outbox: Outbox, disk: FailingDisk, tmp_path: Path, clocks: Clocks
) -> None:
    say(outbox, "a", "b")
    with disk.failing():
        say(outbox, "c", "d", "e")
        outbox.park(first(outbox).place, "never")
        outbox.rename(first(outbox).place, "b2")
        assert first(outbox).utterance.id == "b2"
        renamed = first(outbox)
        outbox.forget(renamed.place)
        outbox.park(first(outbox).place, "never")
        outbox.rename(first(outbox).place, "d2")
        assert (len(outbox), outbox.depth().parked) == (2, 1)
    let_it_recover(outbox, clocks)
    assert (len(outbox), outbox.depth().parked) == (2, 2)
    assert on_disk(tmp_path, clocks) == ["d2", "e"]


def test_a_rename_of_a_row_on_the_disk_reaches_it(
    outbox: Outbox, disk: FailingDisk, tmp_path: Path, clocks: Clocks
) -> None:
    say(outbox, "a")
    with disk.failing():
        say(outbox, "b")
        outbox.rename(first(outbox).place, "a2")
    let_it_recover(outbox, clocks)
    assert on_disk(tmp_path, clocks) == ["a2", "b"]


# -- limits


def test_in_memory_the_oldest_go_beyond_the_limit_and_are_counted(
    disk: FailingDisk, reopen: Callable[..., Outbox]
) -> None:
    outbox = reopen(max_bytes=3 * len(BIG))
    say(outbox, "a")
    disk.fail()
    assert say(outbox, "b", "c", "d") == [None] * 3
    (dropped,) = say(outbox, "e")
    assert dropped == Dropped(1, "more than 0 MB in memory, while the disk fails")
    assert take_all(outbox) == ["a", "c", "d", "e"]


def test_all_outboxes_of_a_process_share_a_limit_of_memory(
    outbox: Outbox, disk: FailingDisk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory_module, "MAX_BYTES", 3 * len(BIG))
    other = FailingDisk(monkeypatch, tmp_path / "s2.sqlite3", "read-only")
    with Outbox(tmp_path, "s2", max_bytes=10**6, max_age_s=60) as second:
        disk.fail()
        other.fail()
        assert say(outbox, "a", "b") == [None, None]
        say(second, "x")
        (dropped,) = say(outbox, "c")
        assert dropped is not None
        assert dropped.count == 1
        assert take_all(outbox) == ["b", "c"]
        assert say(outbox, "d") == [None], "there is room again"
        assert take_all(second) == ["x"]
        other.repair()


def test_back_on_the_disk_the_limit_of_the_disk_holds(
    disk: FailingDisk, reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    outbox = reopen(max_bytes=3 * len(BIG))
    say(outbox, "a", "b")
    with disk.failing():
        say(outbox, "c", "d")
    let_it_recover(outbox, clocks)
    assert outbox.drop_stale() == Dropped(1, "more than 0 MB"), "it is said when it can be"
    assert take_all(outbox) == ["b", "c", "d"]


def test_what_grows_too_old_meanwhile_is_not_sent_and_counted_once(
    outbox: Outbox, disk: FailingDisk, tmp_path: Path, clocks: Clocks
) -> None:
    say(outbox, "a")
    with disk.failing():
        say(outbox, "b")
        clocks.pass_(3_000)
        say(outbox, "c")
        clocks.pass_(601)
        assert outbox.drop_stale() == Dropped(2, "older than 3600 s")
        assert outbox.drop_stale() is None
        assert len(outbox) == 1
        assert first(outbox).utterance.id == "c"
    let_it_recover(outbox, clocks)
    assert outbox.drop_stale() is None
    assert on_disk(tmp_path, clocks) == ["c"]


# -- ends and starts


def test_what_only_memory_holds_at_the_end_is_lost_aloud(
    outbox: Outbox, disk: FailingDisk, reopen: Callable[..., Outbox]
) -> None:
    say(outbox, "a")
    counted = growth("earshot_outbox_dropped_total")
    with disk.failing(), capture_logs() as logs:
        say(outbox, "b", "c")
        outbox.close()
    (lost,) = [line for line in logs if line["event"] == "outbox_dropped_oldest"]
    assert (lost["count"], counted()) == (2, 2)
    assert "the process ends while the disk fails" in lost["why"]
    assert take_all(reopen(max_bytes=10**6)) == ["a"]


def test_at_the_end_the_disk_is_tried_once_more(
    outbox: Outbox, disk: FailingDisk, reopen: Callable[..., Outbox]
) -> None:
    with disk.failing():
        say(outbox, "a", "b")
    with capture_logs() as logs:
        outbox.close()
    assert [line["event"] for line in logs] == ["outbox_disk_works_again"]
    assert take_all(reopen(max_bytes=10**6)) == ["a", "b"]


def test_whoever_starts_on_such_a_disk_hears_and_sends_what_lies_there(
    outbox: Outbox, disk: FailingDisk, reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    say(outbox, "a", "b")
    outbox.close()
    with disk.failing():
        outbox = reopen(max_bytes=10**6)
        say(outbox, "c")
        assert take_all(outbox)[-1:] == ["c"]
        say(outbox, "d")
    let_it_recover(outbox, clocks)
    assert take_all(outbox) == ["d"]
