"""An utterance is dropped for its age only if it is certainly so old. The clock of the boot proves
that; the wall clock, however it is set, does not."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from common.settings import ListenSettings
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_folder import sweep_outboxes
from producer.storage.outbox_report import Dropped
from tests.support.outboxes import DAY, Clocks, add, make_utterance, take_all

HOUR = 3_600.0
WEEK = 7 * DAY
IN_1970 = 120.0
IN_2044 = 2_335_219_200.0


def age_of_first(outbox: Outbox) -> float:
    waiting = outbox.first()
    assert waiting is not None
    return waiting.utterance.hold_ms / 1000


# -- five clocks


def test_suspension_makes_nothing_older_that_was_said_after_it(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    outbox = reopen()
    clocks.suspend(10 * DAY)
    add(outbox, "said-a-moment-ago")
    outbox = reopen()  # a crash, and the next start
    assert outbox.drop_stale() is None
    assert age_of_first(outbox) < 1


def test_what_was_said_before_a_long_suspension_is_as_old_as_that(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    outbox = reopen()
    add(outbox, "a")
    clocks.suspend(6 * DAY)
    assert outbox.drop_stale() is None
    assert age_of_first(outbox) == 6 * DAY
    clocks.suspend(2 * DAY)
    assert outbox.drop_stale() == Dropped(1, "older than 604800 s")


def test_after_a_boot_in_1970_and_a_step_to_the_right_time_nothing_is_lost(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    right = clocks.wall
    clocks.restart(wall=IN_1970)
    outbox = reopen()
    add(outbox, "before-the-step")
    clocks.wall = right
    add(outbox, "after-the-step")
    assert outbox.drop_stale() is None
    outbox = reopen()
    assert outbox.drop_stale() is None
    clocks.restart(wall=IN_1970)  # the next power cut
    outbox = reopen()
    clocks.wall = right
    assert add(outbox, "in-the-next-boot") == [None]
    assert take_all(outbox) == ["before-the-step", "after-the-step", "in-the-next-boot"]


@pytest.mark.parametrize("step", [30 * DAY, -30 * DAY, 7 * DAY + 1, 0.5, -0.5])
def test_a_step_of_ntp_changes_no_age(
    step: float, reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    outbox = reopen()
    add(outbox, "a")
    clocks.pass_(3)
    clocks.wall += step
    add(outbox, "b")
    for again in (False, True):
        outbox = reopen() if again else outbox
        assert outbox.drop_stale() is None
        assert age_of_first(outbox) == 3
    outbox.close()
    clocks.restart()
    outbox = reopen()
    assert outbox.drop_stale() is None
    assert take_all(outbox) == ["a", "b"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati"])
@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_summer_time_changes_no_age(
    zone: str, shift: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clocks: Clocks
) -> None:
    """Also where the hardware clock runs in local time, so that a boot is off by the shift."""

    def opened() -> Outbox:
        return Outbox(
            tmp_path,
            "s1",
            max_bytes=10_000,
            max_age_s=0.5 * HOUR,
            clock=clocks.clock,
            wall=lambda: clocks.wall,
        )

    with opened() as outbox:
        add(outbox, "a")
    clocks.wall += shift
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with opened() as outbox:
            assert outbox.drop_stale() is None
            assert age_of_first(outbox) == 0
        clocks.restart(off_s=shift)
        with opened() as outbox:
            assert outbox.drop_stale() is None
            assert take_all(outbox) == ["a"]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_boot_with_a_clock_in_the_future_loses_nothing(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    add(reopen(), "a")
    right = clocks.wall
    clocks.restart(wall=IN_2044)
    outbox = reopen()
    assert outbox.drop_stale() is None
    add(outbox, "b")
    clocks.wall = right  # NTP
    assert outbox.drop_stale() is None
    clocks.restart()
    outbox = reopen()
    assert outbox.drop_stale() is None
    clocks.pass_(WEEK + 1)  # and what is old goes, though it says that it is of 2044
    assert outbox.drop_stale() == Dropped(2, "older than 604800 s")


# -- what passes between two boots, and on other hosts


def test_no_one_can_say_how_long_a_host_was_off(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    add(reopen(), "a")
    clocks.pass_(60)
    clocks.restart(off_s=30 * DAY)
    outbox = reopen()
    assert outbox.drop_stale() is None
    assert age_of_first(outbox) == pytest.approx(0, abs=60)


def test_the_time_of_several_boots_adds_up(reopen: Callable[..., Outbox], clocks: Clocks) -> None:
    add(reopen(), "a")
    for _ in range(3):
        clocks.restart(off_s=DAY)
        outbox = reopen()
        clocks.pass_(2 * DAY)
        outbox.drop_stale()
    assert age_of_first(outbox) == 6 * DAY
    clocks.restart()
    outbox = reopen()
    assert age_of_first(outbox) == 6 * DAY
    clocks.pass_(DAY + 1)
    assert outbox.drop_stale() == Dropped(1, "older than 604800 s")


def test_a_killed_process_forgets_no_more_than_a_minute_of_it(
    reopen: Callable[..., Outbox], clocks: Clocks, tmp_path: Path
) -> None:
    outbox = reopen()
    add(outbox, "a")
    for _ in range(100):
        clocks.pass_(10)
        outbox.drop_stale()  # as the shipper does at each try
    copy = tmp_path / "killed"
    copy.mkdir()
    for path in tmp_path.glob("s1.sqlite3*"):  # what lies on the disk at this moment
        (copy / path.name).write_bytes(path.read_bytes())
    clocks.restart()
    with Outbox(copy, "s1", max_bytes=10_000, max_age_s=WEEK, clock=clocks.clock) as found:
        assert 940 <= age_of_first(found) <= 1_000


def test_an_outbox_on_another_host_that_runs_for_a_year_is_not_a_year_old(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    """A network share, or a memory card."""
    with reopen() as outbox:
        add(outbox, "a")
    clocks.boot, clocks.elapsed = "another host", 365 * DAY
    outbox = reopen()
    assert outbox.drop_stale() is None
    assert age_of_first(outbox) == 0


def test_a_machine_that_goes_back_to_a_snapshot_makes_nothing_older(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    clocks.pass_(DAY)
    with reopen() as outbox:
        add(outbox, "a")
    clocks.elapsed -= DAY  # its memory goes back, a shared disk does not
    clocks.wall += DAY
    outbox = reopen()
    assert outbox.drop_stale() is None
    assert age_of_first(outbox) == 0
    clocks.pass_(5)
    assert age_of_first(outbox) == 5


def test_utterances_of_the_version_before_have_no_age_and_are_all_sent(
    reopen: Callable[..., Outbox], clocks: Clocks, tmp_path: Path
) -> None:
    """It had the wall clock only, which may have been that of 1970."""
    with closing(sqlite3.connect(tmp_path / "s1.sqlite3")) as db, db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(
            "CREATE TABLE waiting (place INTEGER PRIMARY KEY AUTOINCREMENT,"
            " spoken_at REAL NOT NULL, meta TEXT NOT NULL, audio BLOB NOT NULL, parked TEXT)"
        )
        for number, spoken_at in enumerate([0.0, IN_2044, clocks.wall, clocks.wall - 30 * DAY]):
            utterance = make_utterance(f"u{number}")
            meta = utterance.model_dump_json(exclude={"audio", "hold_ms"})
            db.execute(
                "INSERT INTO waiting (spoken_at, meta, audio) VALUES (?, ?, ?)",
                (spoken_at, meta, utterance.audio),
            )
    outbox = reopen()
    assert outbox.drop_stale() is None
    add(outbox, "new")
    assert age_of_first(reopen()) == 0
    outbox = reopen()
    assert take_all(outbox) == ["u0", "u1", "u2", "u3", "new"]


@pytest.mark.parametrize("column", ["counted_s", "elapsed_s"])
@pytest.mark.parametrize("value", ["x", b"x", -1e300, 1e300, "nan"])
def test_a_damaged_clock_makes_nothing_older(
    column: str,
    value: float | str | bytes,
    reopen: Callable[..., Outbox],
    clocks: Clocks,
    tmp_path: Path,
) -> None:
    with reopen() as outbox:
        add(outbox, "a", "b")
    with closing(sqlite3.connect(tmp_path / "s1.sqlite3")) as db, db:
        db.execute(f"UPDATE clock SET {column} = ?", (value,))
    outbox = reopen()
    assert outbox.drop_stale() is None
    clocks.pass_(5)
    assert age_of_first(outbox) < 60
    assert take_all(outbox) == ["a", "b"]


# -- where else ages are counted


def test_the_sweep_drops_by_the_same_clock(tmp_path: Path, clocks: Clocks) -> None:
    settings = ListenSettings(outbox=str(tmp_path))

    def opened() -> Outbox:
        return Outbox(tmp_path, "s1", max_bytes=10_000, max_age_s=WEEK, clock=clocks.clock)

    with opened() as outbox:
        add(outbox, "a")
    clocks.wall += 365 * DAY
    clocks.restart(wall=IN_2044)
    for _ in range(7 * 24):  # every hour, and no producer runs
        assert sweep_outboxes(settings, clocks.clock) == 0
        clocks.pass_(HOUR)
    clocks.pass_(HOUR)
    assert sweep_outboxes(settings, clocks.clock) == 1


def test_the_age_that_redis_is_told_comes_from_the_same_clock(
    reopen: Callable[..., Outbox], clocks: Clocks
) -> None:
    """From it Redis knows when something was said, and whether it is too old to be answered."""
    outbox = reopen()
    outbox.add(make_utterance("a"), age_s=0.25)
    clocks.pass_(2)
    clocks.wall = IN_1970
    assert age_of_first(outbox) == 2.25
    clocks.suspend(100)
    assert age_of_first(outbox) == 102.25


def test_the_wall_clock_is_kept_for_people(
    reopen: Callable[..., Outbox], clocks: Clocks, tmp_path: Path
) -> None:
    reopen().add(make_utterance("a"), age_s=2)
    with closing(sqlite3.connect(tmp_path / "s1.sqlite3")) as db:
        ((wall_s, meta),) = db.execute("SELECT wall_s, meta FROM waiting")
    assert wall_s == clocks.wall - 2
    assert json.loads(meta)["id"] == "a"
