"""What an outbox keeps in memory while its disk cannot be written."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Final

from producer.storage.record import Record

MAX_BYTES: Final = 64 * 2**20
"""Most audio in the memory of all outboxes of a process: about an hour of speech, and an eighth of
the memory that a container has."""


class OutboxMemory:
    """Utterances in the order spoken. Their places are below 0, so that no file has the same."""

    _counting: ClassVar = threading.Lock()
    _in_process: ClassVar[int] = 0
    """Bytes of audio in all of them."""

    def __init__(self) -> None:
        self._records: OrderedDict[int, Record] = OrderedDict()
        self._last_place = 0
        self.size_bytes = 0
        self.waiting = 0
        """How many are not parked."""

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        return iter(self._records.items())

    def __contains__(self, place: object) -> bool:
        return place in self._records

    def add(self, record: Record) -> None:
        """Add an utterance behind all others."""
        self._last_place -= 1
        self._records[self._last_place] = record
        self._count(record, 1)

    def delete_above(self, max_bytes: int) -> int:
        """Delete the oldest until no more audio than that is left; return how many.

        If the outboxes of this process hold too much together, this one gives way.
        """
        before = len(self)
        while self._records and (
            self.size_bytes > max_bytes or OutboxMemory._in_process > MAX_BYTES
        ):
            self.delete(next(iter(self._records)))
        return before - len(self)

    def first(self) -> tuple[int, Record] | None:
        """Return the place and the record of the oldest that is not parked."""
        return next(((place, record) for place, record in self if not record.parked), None)

    def delete(self, place: int) -> None:
        """Delete an utterance, if it is there."""
        if (record := self._records.pop(place, None)) is not None:
            self._count(record, -1)

    def delete_older(self, spoken_s: float) -> int:
        """Delete those whose speech ended before that moment (s); return how many."""
        old = [place for place, record in self if record.spoken_s < spoken_s]
        for place in old:
            self.delete(place)
        return len(old)

    def park(self, place: int, why: str) -> None:
        """Set an utterance aside."""
        self._change(place, replace(self._records[place], parked=why))

    def rename(self, place: int, utterance: str) -> None:
        """Give an utterance a new id."""
        self._change(place, self._records[place].renamed(utterance))

    def clear(self) -> None:
        """Forget all of them."""
        for place in tuple(self._records):
            self.delete(place)

    def _change(self, place: int, record: Record) -> None:
        self._count(self._records[place], -1)
        self._records[place] = record
        self._count(record, 1)

    def _count(self, record: Record, by: int) -> None:
        size = by * len(record.utterance.audio)
        self.size_bytes += size
        with self._counting:
            OutboxMemory._in_process += size
        self.waiting += 0 if record.parked else by
