"""Utterances on the mic host's disk, from the moment they were cut until Redis has them.

Every utterance goes through here, so that nothing depends on guessing whether Redis is there:
the row is deleted only when the publish was acknowledged. SQLite in WAL mode with full
synchronisation: what was added survives a killed process and a power cut.
"""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from common.errors import BadInput
from common.utterance import Utterance

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS waiting (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    spoken_at REAL NOT NULL,            -- end of speech, s of the host's wall clock
    meta TEXT NOT NULL,                 -- common.utterance.Utterance without the audio, JSON
    audio BLOB NOT NULL,
    parked TEXT                         -- why Redis will never accept it
)
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One utterance in the outbox, under its place in the order."""

    place: int
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the limits cost: the oldest go first."""

    count: int
    why: str


class Outbox:
    """One session's outbox. Methods may be called from any thread.

    Raises BadInput when another process uses the same one, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        session: str,
        *,
        max_bytes: int,
        max_age_s: float,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        # One offset for the life of the process: a clock that is set meanwhile changes no age.
        # Rows of an earlier process are as old as the wall clock says.
        self._monotonic = monotonic
        self._offset = wall() - monotonic()
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._guard: IO[str] = (folder / f"{session}.lock").open("w")
            self._db = sqlite3.connect(folder / f"{session}.sqlite3", check_same_thread=False)
            self._claim(session)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            with self._db:
                self._db.execute(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise BadInput(f"the outbox in {folder} cannot be used: {error}") from None

    def _claim(self, session: str) -> None:
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(
                f"another `earshot listen` with the session {session!r} runs on this host:"
                " stop it, or choose another --session"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()
            self._guard.close()

    def _now(self) -> float:
        return self._monotonic() + self._offset

    def add(self, utterance: Utterance, *, age_s: float) -> Dropped | None:
        """Keep an utterance whose speech ended `age_s` ago; says what had to go for it."""
        meta = utterance.model_dump_json(exclude={"audio", "hold_ms"})
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO waiting (spoken_at, meta, audio) VALUES (?, ?, ?)",
                (self._now() - age_s, meta, utterance.audio),
            )
            return self._enforce_limits()

    def _enforce_limits(self) -> Dropped | None:
        oldest = self._now() - self._max_age_s
        count = self._db.execute("DELETE FROM waiting WHERE spoken_at < ?", (oldest,)).rowcount
        if count:
            return Dropped(count, f"older than {self._max_age_s:.0f} s")
        row = self._db.execute(
            "SELECT max(place) FROM (SELECT place, sum(length(audio))"
            " OVER (ORDER BY place DESC) AS above FROM waiting) WHERE above > ?",
            (self._max_bytes,),
        ).fetchone()
        if row[0] is None:
            return None
        count = self._db.execute("DELETE FROM waiting WHERE place <= ?", (row[0],)).rowcount
        return Dropped(count, f"more than {self._max_bytes / 2**20:.0f} MB")

    def first(self) -> Waiting | None:
        """The oldest that is not parked, with the time since its end of speech as `hold_ms`."""
        with self._lock:
            row = self._db.execute(
                "SELECT place, spoken_at, meta, audio FROM waiting"
                " WHERE parked IS NULL ORDER BY place LIMIT 1"
            ).fetchone()
        if row is None:
            return None
        place, spoken_at, meta, audio = row
        age_s = max(0.0, self._now() - spoken_at)
        utterance = Utterance.model_validate_json(meta).model_copy(
            update={"audio": audio, "hold_ms": round(age_s * 1000)}
        )
        return Waiting(place, utterance)

    def forget(self, place: int) -> None:
        """Let go of an utterance that Redis has acknowledged."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM waiting WHERE place = ?", (place,))

    def park(self, place: int, why: str) -> None:
        """Set aside what Redis will never accept, for a person to look at."""
        with self._lock, self._db:
            self._db.execute("UPDATE waiting SET parked = ? WHERE place = ?", (why, place))

    def rename(self, place: int, utterance: str) -> None:
        """Give a waiting utterance a new id: its turn ended without it."""
        with self._lock, self._db:
            self._db.execute(
                "UPDATE waiting SET meta = json_set(meta, '$.id', ?) WHERE place = ?",
                (utterance, place),
            )

    def __len__(self) -> int:
        """How many wait (without those that are parked)."""
        with self._lock:
            row = self._db.execute("SELECT count(*) FROM waiting WHERE parked IS NULL").fetchone()
        return int(row[0])
