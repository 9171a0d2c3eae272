"""The changes to an outbox that are not written to its disk yet.

While the disk works, that is one change for a moment. While it fails, it is everything that was
said, sent, parked and renamed meanwhile; then it is written in one transaction.
"""

from dataclasses import dataclass

from producer.storage.memory import OutboxMemory
from producer.storage.outbox_file import OutboxFile


@dataclass(frozen=True, slots=True)
class Written:
    """What the transaction did: places on the disk by those in memory, and how many had to go."""

    places: dict[int, int]
    dropped: int


class Unwritten:
    """Changes to the file of an outbox, kept in memory until they are written."""

    def __init__(self) -> None:
        self.memory = OutboxMemory()
        self._done: dict[int, str] = {}  # rows to delete, or to park for that reason
        self._renamed: dict[int, str] = {}
        self._moved: dict[int, int] = {}  # places in memory that were handed out, and are now

    def __bool__(self) -> bool:
        return bool(self.memory or self._done or self._renamed)

    @property
    def done(self) -> int:
        """How many rows of the file are sent, too old or parked."""
        return len(self._done)

    def is_done(self, place: int) -> bool:
        """Return whether a row of the file is out of the way."""
        return place in self._done

    def new_name(self, place: int) -> str | None:
        """Return the new id of a row of the file, if it got one."""
        return self._renamed.get(place)

    def hand_out(self, place: int) -> None:
        """Note that a place in memory was given away: it stays valid when the row is written."""
        self._moved[place] = place

    def place_of(self, place: int) -> int:
        """Return where an utterance is now that had this place when it was handed out."""
        return self._moved.get(place, place)

    def finish(self, place: int, why: str = "") -> None:
        """Delete an utterance, or park it for a reason. It must be waiting."""
        if place not in self.memory:
            self._done[place] = why
        elif why:
            self.memory.park(place, why)
        else:
            self.memory.delete(place)

    def rename(self, place: int, utterance: str) -> None:
        """Give an utterance a new id."""
        if place in self.memory:
            self.memory.rename(place, utterance)
        else:
            self._renamed[place] = utterance

    def write(self, file: OutboxFile, max_bytes: int) -> Written:
        """Write all of it to the file, which then holds no more than `max_bytes` of audio."""
        with file.writing():
            for place, why in self._done.items():
                if why:
                    file.park(place, why)
                else:
                    file.delete(place)
            for place, utterance in self._renamed.items():
                file.rename(place, utterance)
            places = {place: file.insert(record) for place, record in self.memory}
            return Written(places, file.delete_above(max_bytes))

    def settle(self, written: Written) -> None:
        """Note that all of it was written."""
        self._moved = {place: written.places.get(now, now) for place, now in self._moved.items()}
        self.memory.clear()
        self._done.clear()
        self._renamed.clear()
