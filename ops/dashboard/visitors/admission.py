"""How many visitors may send at once, and how many bytes: decided before anything is taken.

A place holds one visitor from the first byte until all is heard, and the bytes of a recording from
the moment when they are announced, or come, until its file is deleted.
"""

from collections.abc import Callable
from typing import Final

from common.closeable import Closeable
from common.errors import EarshotError

MAX_PLACES: Final = 16
"""Visitors at once: detecting speech takes about a hundredth of a core for each."""

LARGEST_AT_ONCE: Final = 5
"""How many recordings of the largest size all recordings together may be as large as."""

STEP: Final = 2**20
"""Bytes that a place takes at once for a recording of unknown length."""

KEEP_FREE: Final = 100 * 2**20
"""Bytes of the disk that recordings leave free: outboxes are on it as well."""

BUSY_S: Final = 10
"""When to try again after a refusal: by then a short recording has been heard (s)."""


class Refusal(EarshotError):
    """A visitor cannot send now. `status` is that of HTTP, `retry_after_s` 0 if waiting is vain."""

    def __init__(self, why: str, status: int, *, retry_after_s: int = 0) -> None:
        super().__init__(why)
        self.status = status
        self.retry_after_s = retry_after_s


class Place(Closeable):
    """The place of one visitor; closing it frees the place and its bytes."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.reserved = 0
        self.written = 0

    def reserve(self, size: int) -> None:
        """Reserve bytes for a recording of at least `size`; raises Refusal."""
        self._admission.extend(self, size)

    def write(self, count: int) -> None:
        """Note that so many more bytes will be on the disk; raises Refusal if there is no room."""
        if (needed := self.written + count) > self.reserved:
            self._admission.extend(self, needed, self.reserved + STEP)
        self.written = needed

    def close(self) -> None:
        self._admission.leave(self)


class Admission:
    """Admits visitors. `max_bytes` is the largest recording; `limit` says so in words.

    `free` returns how many bytes of the disk are free.
    """

    def __init__(self, *, max_bytes: int, limit: str, free: Callable[[], int]) -> None:
        self._max_bytes = max_bytes
        self._limit = limit
        self._free = free
        self._places: set[Place] = set()

    def admit(self) -> Place:
        """Give a visitor a place; raises Refusal if all are taken."""
        if len(self._places) >= MAX_PLACES:
            raise Refusal(
                f"{MAX_PLACES} visitors send already: try again when one has ended",
                429,
                retry_after_s=BUSY_S,
            )
        place = Place(self)
        self._places.add(place)
        return place

    def extend(self, place: Place, size: int, wanted: int = 0) -> None:
        """Reserve `size` bytes for a place, or up to `wanted`; raises Refusal."""
        if size > self._max_bytes:
            raise Refusal(
                f"the recording is larger than {self._limit}: send it in parts",
                413,
            )
        wanted = max(min(max(size, wanted), self._max_bytes), place.reserved)
        more = wanted - place.reserved
        reserved = sum(one.reserved for one in self._places)
        if reserved + more > LARGEST_AT_ONCE * self._max_bytes:
            raise Refusal(
                "the recordings of other visitors take all room: try again when one has been heard",
                503,
                retry_after_s=BUSY_S,
            )
        unwritten = reserved - sum(one.written for one in self._places)
        if self._free() < unwritten + more + KEEP_FREE:
            raise Refusal(
                "the disk of the dashboard has no room for the recording: make room there, or send"
                " it later",
                503,
                retry_after_s=BUSY_S,
            )
        place.reserved = wanted

    def leave(self, place: Place) -> None:
        """Take a place back; again does nothing."""
        self._places.discard(place)
