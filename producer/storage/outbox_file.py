"""The file of one outbox: an SQLite database in WAL mode with full synchronisation.

What was committed survives a killed process and a power cut.

The file has a clock of its own, which counts only time that has certainly passed (see
`boot_clock.py`): it goes on as long as the host runs, and stands still between two boots, since
nobody can say how long that took. All ages are counted by it. So setting the wall clock, a boot
with a wrong clock, suspension, or another time zone makes no utterance older than it is.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from common.closeable import Closeable
from producer.storage.boot_clock import BootClock
from producer.storage.database import prepare
from producer.storage.disk_failure import DiskError
from producer.storage.record import Record

_WIND_S: Final = 60.0
"""How much of the time that has passed a killed process may forget."""

_LONGEST_S: Final = 1e10
"""300 years: what says more is damaged."""


@dataclass(frozen=True, slots=True)
class Row:
    """An utterance as it lies in the file: `meta` and `audio` may be damaged."""

    place: int
    spoken_s: float
    """When its speech ended, by the clock of this boot."""
    meta: bytes
    audio: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    """What a file holds: rows that wait, parked ones, and the bytes of audio of both."""

    waiting: int = 0
    parked: int = 0
    size_bytes: int = 0


class OutboxFile(Closeable):
    """The rows of one outbox. Use it in one thread at a time, and only with the outbox's lock.

    Every method may raise sqlite3.Error. Opening raises DamagedFile for a file that is no outbox
    any more, BadInput for one of another program or of a newer version. With `read_only` nothing is
    written: for a disk that cannot be written, and for a look.
    """

    def __init__(self, path: Path, clock: BootClock, *, read_only: bool = False) -> None:
        self._clock = clock
        self._read_only = read_only
        self._db = prepare(path, read_only=read_only)
        try:
            self.totals = self._count()
            self.last_place = self._find_last_place()
            """The highest place that was ever given: no place is given twice."""
            self._offset = self._read_clock() - clock.elapsed()
        except BaseException:
            self._db.close()
            raise
        self._wound_s = -math.inf

    def close(self) -> None:
        """Close the file, and write down what its clock shows."""
        if not self._read_only:
            with suppress(*DiskError):
                self.wind(after_s=0)
        self._db.close()

    def _count(self) -> Totals:
        return Totals(
            *self._db.execute(
                "SELECT count(*) FILTER (WHERE parked IS NULL), count(parked),"
                " coalesce(sum(length(audio)), 0) FROM waiting"
            ).fetchone()
        )

    def _find_last_place(self) -> int:
        query = "SELECT max(seq) FROM sqlite_sequence WHERE name = 'waiting'"
        return int(self._db.execute(query).fetchone()[0] or 0)

    # -- the clock

    def _read_clock(self) -> float:
        """Return what the clock shows now (s)."""
        row = self._db.execute("SELECT counted_s, boot, elapsed_s FROM clock").fetchone()
        if row is None or not _is_time(row[0]):
            # the ages count from the latest utterance
            return _seconds(self._db.execute("SELECT max(clock_s) FROM waiting").fetchone()[0])
        counted_s, boot, elapsed_s = row
        if boot != self._clock.name or not _is_time(elapsed_s):
            return float(counted_s)
        return float(counted_s + max(0.0, self._clock.elapsed() - elapsed_s))

    def now(self) -> float:
        """Return the time by the clock of this file (s)."""
        return self._clock.elapsed() + self._offset

    def wind(self, after_s: float = _WIND_S) -> None:
        """Write down what the clock shows, if anything waits and the last time is `after_s` ago."""
        is_empty = not (self.totals.waiting or self.totals.parked)
        if not is_empty and self._clock.elapsed() - self._wound_s >= after_s:
            self._wound_s = -math.inf
            with self.writing():
                pass

    # -- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Commit what is changed in the context, or nothing of it, and wind the clock."""
        totals, last_place, elapsed_s = self.totals, self.last_place, self._clock.elapsed()
        is_due = elapsed_s - self._wound_s >= _WIND_S
        try:
            with self._db.transaction():
                yield
                if is_due:
                    values = (self.now(), self._clock.name, elapsed_s)
                    self._db.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?)", values)
        except BaseException:
            self.totals, self.last_place = totals, last_place
            raise
        if is_due:
            self._wound_s = elapsed_s

    # All below that write: inside `writing` only.

    def insert(self, record: Record) -> int:
        """Add an utterance behind all others; return its place."""
        utterance = record.utterance
        meta = utterance.model_dump_json(exclude={"audio", "hold_ms"})
        self.last_place += 1
        self._db.execute(
            "INSERT INTO waiting (place, clock_s, wall_s, parked, meta, audio)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                self.last_place,
                record.spoken_s + self._offset,
                record.wall_s,
                record.parked or None,
                meta,
                utterance.audio,
            ),
        )
        is_parked = bool(record.parked)
        self._add(not is_parked, is_parked, len(utterance.audio))
        return self.last_place

    def delete(self, place: int) -> int:
        """Delete a row, if it is there; return how many were deleted."""
        return self._delete("place = ?", place)

    def delete_parked(self, max_age_s: float) -> int:
        """Delete the parked rows that are certainly older; return how many.

        Not inside `writing`: it begins that by itself, and only if there are any.
        """
        which, oldest_s = "parked IS NOT NULL AND clock_s < ?", self.now() - max_age_s
        query = f"SELECT count(*) FROM waiting WHERE {which}"
        if not self.totals.parked or not self._db.execute(query, (oldest_s,)).fetchone()[0]:
            return 0
        with self.writing():
            return self._delete(which, oldest_s)

    def delete_above(self, max_bytes: int) -> int:
        """Delete the oldest rows until no more audio than that is left; return how many."""
        if self.totals.size_bytes <= max_bytes:
            return 0
        (place,) = self._db.execute(
            "SELECT max(place) FROM (SELECT place, sum(length(audio))"
            " OVER (ORDER BY place DESC) AS above FROM waiting) WHERE above > ?",
            (max_bytes,),
        ).fetchone()
        return 0 if place is None else self._delete("place <= ?", place)

    def _delete(self, which: str, value: float) -> int:
        query = f"SELECT parked IS NULL, length(audio) FROM waiting WHERE {which}"
        gone = self._db.execute(query, (value,)).fetchall()
        self._db.execute(f"DELETE FROM waiting WHERE {which}", (value,))
        for is_waiting, size in gone:
            self._add(-is_waiting, is_waiting - 1, -(size or 0))
        return len(gone)

    def park(self, place: int, why: str) -> None:
        """Set a row aside, if it is there."""
        changed = self._db.execute(
            "UPDATE waiting SET parked = ? WHERE place = ? AND parked IS NULL", (why, place)
        ).rowcount
        self._add(-changed, changed, 0)

    def rename(self, place: int, utterance: str) -> None:
        """Give a row a new id, and make it one that was never sent as a draft."""
        self._db.execute(
            "UPDATE waiting SET meta = json_set(meta, '$.id', ?, '$.revision', 1,"
            " '$.final', json('true')) WHERE place = ?",
            (utterance, place),
        )

    def _add(self, waiting: int, parked: int, size_bytes: int) -> None:
        totals = self.totals
        self.totals = Totals(
            totals.waiting + waiting, totals.parked + parked, totals.size_bytes + size_bytes
        )

    # -- reading

    def first(self, *, after: int = -1, max_age_s: float = math.inf) -> Row | None:
        """Return the oldest row behind a place that is neither parked nor too old."""
        # by their bytes: text that is no UTF-8 would be an error, and block all others
        row = self._db.execute(
            "SELECT place, clock_s, CAST(meta AS BLOB), CAST(audio AS BLOB) FROM waiting"
            " WHERE parked IS NULL AND place > ? AND clock_s >= ? ORDER BY place LIMIT 1",
            (after, self.now() - max_age_s),
        ).fetchone()
        if row is None:
            return None
        place, clock_s, meta, audio = row
        return Row(place, _seconds(clock_s) - self._offset, meta, audio or b"")

    def find_stale(self, max_age_s: float) -> list[int]:
        """Return the places of the rows that wait and are certainly older."""
        query = "SELECT place FROM waiting WHERE clock_s < ? AND parked IS NULL"
        return [place for (place,) in self._db.execute(query, (self.now() - max_age_s,))]

    def is_waiting(self, place: int) -> bool:
        """Return whether there is such a row, not parked."""
        query = "SELECT count(*) FROM waiting WHERE place = ? AND parked IS NULL"
        return bool(self._db.execute(query, (place,)).fetchone()[0])

    def holds(self, utterance: str) -> bool:
        """Return whether an utterance lies in the file, parked or not."""
        query = (
            "SELECT count(*) FROM waiting"
            " WHERE CASE WHEN json_valid(meta) THEN json_extract(meta, '$.id') END = ?"
        )
        return bool(self._db.execute(query, (utterance,)).fetchone()[0])

    def oldest_s(self) -> float | None:
        """Return when the oldest speech that waits ended, by the clock of this boot (s)."""
        query = "SELECT min(clock_s) FROM waiting WHERE parked IS NULL"
        (oldest,) = self._db.execute(query).fetchone()
        return None if oldest is None else _seconds(oldest) - self._offset


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= _LONGEST_S


def _seconds(value: Any) -> float:
    """Return a number that was read from a file as a time; 0 if it is none."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0
