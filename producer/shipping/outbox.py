"""Utterances on the mic host's disk, from their end until Redis has them.

Every utterance goes through the outbox, whether Redis is there or not. Its row is deleted only
when Redis has acknowledged the publish. What was added survives a killed process and a power cut;
`producer/storage/outbox_file.py` says how, and how ages are counted.

While the disk fails, new utterances are kept in memory and handed out behind what can be read of
the disk. What is not written yet is written as soon as that is possible.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import ValidationError

from common.closeable import Closeable
from common.errors import BadInput
from common.utterance import Utterance
from common.validation import explain
from producer.shipping.outbox_metrics import report_dropped
from producer.storage.boot_clock import BootClock, host_clock
from producer.storage.disk import OutboxDisk
from producer.storage.draft_note import DraftNote
from producer.storage.memory import MAX_BYTES
from producer.storage.outbox_file import OutboxFile, Row, Totals
from producer.storage.outbox_report import Depth, Dropped
from producer.storage.record import Record, rename
from producer.storage.unwritten import Unwritten

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One utterance in the outbox, and its place in the order."""

    place: int
    utterance: Utterance


class Outbox(Closeable):
    """One session's outbox. Methods may be called from any thread.

    Opening raises BadInput when the folder cannot be used, or another process uses this outbox.
    Every other method raises it when the outbox is closed.
    """

    def __init__(
        self,
        folder: Path,
        session: str,
        *,
        max_bytes: int,
        max_age_s: float,
        clock: BootClock | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._elapsed = (clock or host_clock()).elapsed
        self._wall = wall
        self._lock = threading.Lock()
        self._is_closed = False
        self.folder = folder
        self.session = session
        self._draft = DraftNote(folder, session)
        self._unwritten = Unwritten()
        self._skipped = -1  # all rows up to this place are done
        self._dropped: Dropped | None = None  # and not yet said
        self._disk = OutboxDisk(folder, session, clock or host_clock())
        self._waiting = self._count_waiting()

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            if self._is_closed:
                raise BadInput(f"the outbox in {self.folder} cannot be used: it is closed")
            try:
                yield
            finally:
                self._waiting = self._count_waiting()

    def _count_waiting(self) -> int:
        file = self._disk.file
        on_disk = 0 if file is None else file.totals.waiting - self._unwritten.done
        return max(0, on_disk) + self._unwritten.memory.waiting

    def close(self) -> None:
        """Close the outbox. What only memory holds is lost then, and that is said."""
        with self._lock:
            if self._is_closed:
                return
            self._write(at_once=True)
            if lost := len(self._unwritten.memory):
                why = f"the process ends while the disk fails ({self._disk.why})"
                report_dropped(self.session, Dropped(lost, why))
                self._unwritten.memory.clear()
            self._is_closed = True
            self._disk.close()

    # -- what goes in

    def add(self, utterance: Utterance, *, age_s: float) -> Dropped | None:
        """Keep an utterance whose speech ended `age_s` ago; says what had to go for it."""
        with self._using():
            self._expire()
            record = Record(utterance, self._elapsed() - age_s, self._wall() - age_s)
            self._unwritten.memory.add(record)
            if not self._write():
                limit = _above(min(self._max_bytes, MAX_BYTES))
                dropped = self._unwritten.memory.delete_above(self._max_bytes)
                self._drop(dropped, f"{limit} in memory, while the disk fails")
            return self._take_dropped()

    def drop_stale(self) -> Dropped | None:
        """Drop what is too old: Redis no longer knows whether it has it already."""
        with self._using():
            self._expire()
            if self._write():
                self._disk.write(OutboxFile.wind)
            return self._take_dropped()

    def _expire(self) -> None:
        dropped = self._unwritten.memory.delete_older(self._elapsed() - self._max_age_s)
        stale = self._disk.read(lambda file: file.find_stale(self._max_age_s)) or []
        for place in stale:
            if not self._unwritten.is_done(place):
                self._unwritten.finish(place)
                dropped += 1
        if not self._disk.fails:
            dropped += self._disk.write(lambda file: file.delete_parked(self._max_age_s)) or 0
        self._drop(dropped, f"older than {self._max_age_s:.0f} s")

    def _drop(self, count: int, why: str) -> None:
        if count:
            before = self._dropped
            self._dropped = Dropped(count, why) if before is None else before.plus(count, why)

    def _take_dropped(self) -> Dropped | None:
        dropped, self._dropped = self._dropped, None
        return dropped

    # -- what is not written yet

    @property
    def disk_failure(self) -> str:
        """Why the disk fails; empty if it does not."""
        return self._disk.why

    def recover(self) -> bool:
        """Write what is unwritten, if the disk is to be tried again; return if it works now.

        Blocks. Call it now and then: it looks at the disk with growing pauses.
        """
        with self._using():
            return self._disk.fails and self._write()

    def _write(self, *, at_once: bool = False) -> bool:
        """Write what is unwritten; return whether nothing is left of it."""
        if not (self._unwritten or self._disk.fails):
            return True
        if not (at_once or self._disk.is_due):
            return False
        written = self._disk.write(lambda file: self._unwritten.write(file, self._max_bytes))
        if written is None:
            return False
        self._unwritten.settle(written)
        self._skipped = -1
        self._drop(written.dropped, _above(self._max_bytes))
        return True

    # -- what goes out

    def first(self) -> Waiting | None:
        """Return the oldest that is not parked; `hold_ms` counts from its end of speech."""
        with self._using():
            if self._disk.fails:
                self._write()
            return self._first_on_disk() or self._first_in_memory()

    def _first_on_disk(self) -> Waiting | None:
        while (row := self._next_row()) is not None:
            if self._unwritten.is_done(row.place):
                self._skipped = row.place
                continue
            try:
                utterance = Utterance.model_validate_json(row.meta)
            except ValidationError as error:  # it must not block all others
                why = f"it is damaged, or another version wrote it: its {explain(error)}"
                log.error("utterance_parked", place=row.place, why=why)
                self._unwritten.finish(row.place, why)
                self._write()
                continue
            if (name := self._unwritten.new_name(row.place)) is not None:
                utterance = rename(utterance, name)
            return self._hand_out(row.place, utterance, row.audio, row.spoken_s)
        return None

    def _next_row(self) -> Row | None:
        return self._disk.read(
            lambda file: file.first(after=self._skipped, max_age_s=self._max_age_s)
        )

    def _first_in_memory(self) -> Waiting | None:
        if (found := self._unwritten.memory.first()) is None:
            return None
        place, record = found
        self._unwritten.hand_out(place)
        utterance = record.utterance
        return self._hand_out(place, utterance, utterance.audio, record.spoken_s)

    def _hand_out(self, place: int, utterance: Utterance, audio: bytes, spoken_s: float) -> Waiting:
        hold_ms = round(max(0.0, self._elapsed() - spoken_s) * 1000)
        return Waiting(place, utterance.model_copy(update={"audio": audio, "hold_ms": hold_ms}))

    def forget(self, place: int) -> None:
        """Delete an utterance that Redis has acknowledged."""
        self._finish(place, "")

    def park(self, place: int, why: str) -> None:
        """Set aside an utterance that Redis will never accept, for a person to look at."""
        self._finish(place, why or "no reason was given")

    def _finish(self, place: int, why: str) -> None:
        with self._using():
            place = self._unwritten.place_of(place)
            if self._is_waiting(place):
                self._unwritten.finish(place, why)
                self._write()

    def _is_waiting(self, place: int) -> bool:
        if place in self._unwritten.memory:
            return True
        # a row that cannot be read now may be there
        found = self._disk.read(lambda file: file.is_waiting(place))
        return place >= 0 and found is not False and not self._unwritten.is_done(place)

    def rename(self, place: int, utterance: str) -> None:
        """Give a waiting utterance a new id: its turn ended without it, so it begins a new one."""
        with self._using():
            self._unwritten.rename(self._unwritten.place_of(place), utterance)
            self._write()

    # -- the draft that may be in Redis

    def note_draft(self, utterance: str) -> None:
        """Note the one utterance that may be in Redis as a draft, before the draft goes there.

        Raises BadInput when the disk takes no note: then the draft must not be sent.
        """
        self._draft.write(utterance)

    def unfinished_draft(self) -> str:
        """Return the utterance whose draft an earlier process may have left in Redis; or empty.

        An utterance that waits in the outbox is not meant: it will be committed. Only Redis knows
        whether the turn has ended already.
        """
        if not (noted := self._draft.read()):
            return ""
        with self._using():
            return "" if self._disk.read(lambda file: file.holds(noted)) else noted

    def forget_draft(self) -> None:
        """Delete the note: the unfinished draft's turn has ended."""
        self._draft.delete()

    # -- what it says about itself

    def __len__(self) -> int:
        """Return how many wait, parked ones not counted. Neither reads the disk nor blocks."""
        return self._waiting

    def depth(self) -> Depth:
        """Return what the outbox holds now."""
        with self._using():
            file = self._disk.file
            totals = Totals() if file is None else file.totals
            spoken = [record.spoken_s for _, record in self._unwritten.memory if not record.parked]
            oldest = self._disk.read(OutboxFile.oldest_s)
            if oldest is not None:
                spoken.append(oldest)
            return Depth(
                self._count_waiting(),
                totals.parked + len(self._unwritten.memory) - self._unwritten.memory.waiting,
                totals.size_bytes + self._unwritten.memory.size_bytes,
                self._max_bytes,
                max(0.0, self._elapsed() - min(spoken)) if spoken else 0.0,
                in_memory=self._unwritten.memory.waiting,
                disk_works=not self._disk.fails,
            )


def _above(limit: int) -> str:
    return f"more than {limit / 2**20:.0f} MB"
