"""Utterances on the mic host's disk, from their end until Redis has them.

Every utterance goes through the outbox, whether Redis is there or not. Its row is deleted only
when Redis has acknowledged the publish. SQLite runs in WAL mode with full synchronisation: what
was added survives a killed process and a power cut.
"""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError

from common.closeable import Closeable
from common.errors import BadInput
from common.keys import UTTERANCE_ID
from common.utterance import Utterance
from common.validation import explain

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS waiting (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    spoken_at REAL NOT NULL,            -- end of speech, s of the host's wall clock
    meta TEXT NOT NULL,                 -- common.utterance.Utterance without the audio, JSON
    audio BLOB NOT NULL,
    parked TEXT                         -- why Redis will never accept it
)
"""


log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One utterance in the outbox, and its place in the order."""

    place: int
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many utterances the limits removed, the oldest first, and which limit did it."""

    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Depth:
    """What an outbox holds: utterances that wait, parked ones, and the audio of both."""

    waiting: int
    parked: int
    size_bytes: int
    limit_bytes: int
    oldest_s: float
    """Since the end of speech of the oldest that waits; 0 if none does."""


class Outbox(Closeable):
    """One session's outbox. Methods may be called from any thread.

    Every method raises BadInput when the folder cannot be written. Opening raises it as well when
    another process uses the same outbox.
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
        # One offset for the life of the process: setting the clock meanwhile changes no age.
        # The wall clock tells the age of an earlier process's rows.
        self._monotonic = monotonic
        self._offset = wall() - monotonic()
        self._lock = threading.Lock()
        self._growth = 0  # of what waits, in the transaction that is open
        self.folder = folder
        self._draft = folder / f"{session}.draft"
        self._noted = ""  # by this process
        self.session = session
        with self._explained(), ExitStack() as opened:
            folder.mkdir(parents=True, exist_ok=True)
            self._guard = opened.enter_context((folder / f"{session}.lock").open("w"))
            self._claim(session)
            path = folder / f"{session}.sqlite3"
            self._db = opened.enter_context(closing(sqlite3.connect(path, check_same_thread=False)))
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            with self._db:
                self._db.execute(SCHEMA)
                self._waiting = _count(self._db)
            self._close = opened.pop_all().close

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise BadInput(f"the outbox in {self.folder} cannot be used: {error}") from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained():
            self._growth = 0
            with self._db:
                yield self._db
            self._waiting += self._growth

    def _claim(self, session: str) -> None:
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(
                f"another `earshot listen` with the session {session!r} runs on this host:"
                " stop it, or choose another --session"
            ) from None

    def close(self) -> None:
        with self._lock:
            self._close()

    def _now(self) -> float:
        return self._monotonic() + self._offset

    def add(self, utterance: Utterance, *, age_s: float) -> Dropped | None:
        """Keep an utterance whose speech ended `age_s` ago; says what had to go for it."""
        meta = utterance.model_dump_json(exclude={"audio", "hold_ms"})
        with self._transaction() as db:
            db.execute(
                "INSERT INTO waiting (spoken_at, meta, audio) VALUES (?, ?, ?)",
                (self._now() - age_s, meta, utterance.audio),
            )
            self._growth += 1
            stale = self._delete_stale(db)
            row = db.execute(
                "SELECT max(place) FROM (SELECT place, sum(length(audio))"
                " OVER (ORDER BY place DESC) AS above FROM waiting) WHERE above > ?",
                (self._max_bytes,),
            ).fetchone()
            if row[0] is None:
                return stale
            count = self._delete(db, "place <= ?", row[0])
        why = f"more than {self._max_bytes / 2**20:.0f} MB"
        return (
            Dropped(count + stale.count, f"{stale.why}, or {why}") if stale else Dropped(count, why)
        )

    def drop_stale(self) -> Dropped | None:
        """Drop what is too old: Redis no longer knows whether it has it already."""
        with self._transaction() as db:
            return self._delete_stale(db)

    def _delete_stale(self, db: sqlite3.Connection) -> Dropped | None:
        oldest = self._now() - self._max_age_s
        count = self._delete(db, "spoken_at < ?", oldest)
        return Dropped(count, f"older than {self._max_age_s:.0f} s") if count else None

    def _delete(self, db: sqlite3.Connection, which: str, value: float) -> int:
        self._growth -= _count(db, which, value)
        return db.execute(f"DELETE FROM waiting WHERE {which}", (value,)).rowcount

    def first(self) -> Waiting | None:
        """Return the oldest that is not parked; `hold_ms` counts from its end of speech."""
        while True:
            with self._transaction() as db:
                row = db.execute(
                    "SELECT place, spoken_at, meta, audio FROM waiting"
                    " WHERE parked IS NULL ORDER BY place LIMIT 1"
                ).fetchone()
            if row is None:
                return None
            place, spoken_at, meta, audio = row
            try:
                utterance = Utterance.model_validate_json(meta)
            except ValidationError as error:  # it must not block all others
                why = f"it is damaged, or another version wrote it: its {explain(error)}"
                log.error("utterance_parked", place=place, why=why)
                self.park(place, why)
                continue
            hold_ms = round(max(0.0, self._now() - spoken_at) * 1000)
            return Waiting(place, utterance.model_copy(update={"audio": audio, "hold_ms": hold_ms}))

    def forget(self, place: int) -> None:
        """Delete an utterance that Redis has acknowledged."""
        with self._transaction() as db:
            self._delete(db, "place = ?", place)

    def park(self, place: int, why: str) -> None:
        """Set aside an utterance that Redis will never accept, for a person to look at."""
        with self._transaction() as db:
            self._growth -= _count(db, "place = ?", place)
            db.execute("UPDATE waiting SET parked = ? WHERE place = ?", (why, place))

    def rename(self, place: int, utterance: str) -> None:
        """Give a waiting utterance a new id: its turn ended without it, so it begins a new one."""
        with self._transaction() as db:
            db.execute(
                "UPDATE waiting SET meta = json_set(meta, '$.id', ?, '$.revision', 1,"
                " '$.final', json('true')) WHERE place = ?",
                (utterance, place),
            )

    def note_draft(self, utterance: str) -> None:
        """Note the one utterance that may be in Redis as a draft, before the draft goes there.

        It replaces the note before, whose utterance has ended by now. The file is not synchronised:
        a killed process loses nothing of it. After a power cut the turn ends later, by its timeout.
        """
        if utterance != self._noted:
            with self._explained():
                self._draft.write_text(utterance, encoding="ascii")
            self._noted = utterance

    def unfinished_draft(self) -> str:
        """Return the utterance whose draft an earlier process may have left in Redis; or empty.

        An utterance that waits in the outbox is not meant: it will be committed. Only Redis knows
        whether the turn has ended already.
        """
        with self._explained():
            try:
                noted = self._draft.read_bytes().decode("ascii", "replace")
            except FileNotFoundError:
                return ""
        if noted == self._noted or not UTTERANCE_ID.match(noted):
            return ""
        with self._transaction() as db:
            row = db.execute(
                "SELECT count(*) FROM waiting"
                " WHERE CASE WHEN json_valid(meta) THEN json_extract(meta, '$.id') END = ?",
                (noted,),
            ).fetchone()
        return "" if row[0] else noted

    def forget_draft(self) -> None:
        """Delete the note: the unfinished draft's turn has ended."""
        with self._explained():
            self._draft.unlink(missing_ok=True)

    def __len__(self) -> int:
        """Return how many wait, parked ones not counted. Neither reads the disk nor blocks."""
        return self._waiting

    def depth(self) -> Depth:
        """Return what the outbox holds now."""
        with self._transaction() as db:
            waiting, parked, size, oldest = db.execute(
                "SELECT count(*) FILTER (WHERE parked IS NULL), count(parked),"
                " coalesce(sum(length(audio)), 0),"
                " min(spoken_at) FILTER (WHERE parked IS NULL) FROM waiting"
            ).fetchone()
        oldest_s = 0.0 if oldest is None else max(0.0, self._now() - oldest)
        return Depth(waiting, parked, size, self._max_bytes, oldest_s)


def _count(db: sqlite3.Connection, which: str = "true", *values: float) -> int:
    """Return how many of some rows wait."""
    row = db.execute(f"SELECT count(*) FROM waiting WHERE {which} AND parked IS NULL", values)
    return int(row.fetchone()[0])
