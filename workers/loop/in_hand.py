"""The entries in hand: which tasks work on them, and the heartbeats that keep their claims."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import structlog

from common.redis.link import Link
from common.redis.store import Store
from common.transitions.claims import hand_back, heartbeat
from workers.loop.handler import Delivery

log = structlog.get_logger(__name__)

Place = tuple[str, str]  # an entry's stream and id


@dataclass(eq=False, slots=True)
class EntryInHand:
    """One entry in hand, as it was delivered last.

    `exclusive`: it was suspicious when it came, and runs without neighbours. `lost`: the claim
    turned out to be another worker's. `in_transition`: a transition on it is under way, and the
    answer of Redis will say whose it is.
    """

    delivery: Delivery
    exclusive: bool
    task: "asyncio.Task[None] | None" = None
    lost: bool = False
    in_transition: bool = False


@dataclass(slots=True)
class EntriesInHand:
    """All entries that one process has in hand."""

    store: Store
    link: Link
    group: str
    consumer: str
    _entries: dict[Place, EntryInHand] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[EntryInHand]:
        return iter(list(self._entries.values()))

    @property
    def has_exclusive(self) -> bool:
        """Whether one of the entries must have no neighbours."""
        return any(entry.exclusive for entry in self)

    def add(self, delivery: Delivery) -> EntryInHand | None:
        """Note an entry; None if it is in hand already (delivered twice to the same consumer)."""
        place = _place(delivery)
        if place in self._entries:
            return None
        self._entries[place] = EntryInHand(delivery, delivery.is_suspicious)
        return self._entries[place]

    def remove(self, entry: EntryInHand) -> None:
        """Forget an entry, unless the same one came again in the meantime."""
        place = _place(entry.delivery)
        if self._entries.get(place) is entry:
            del self._entries[place]

    async def send_heartbeats(self) -> None:
        """Send one heartbeat for everything in hand, and stop the work on what was lost.

        Raises the first error after all streams had theirs: shards may be away one by one.
        """
        failure: Exception | None = None
        for stream, ids in _by_stream(self._entries).items():
            try:
                lost = await self.link.call(
                    heartbeat, self.store, stream, self.group, self.consumer, ids
                )
            except Exception as error:
                failure = failure or error
                continue
            for entry_id in lost:
                self._stop_work((stream, entry_id))
        if failure is not None:
            raise failure

    def _stop_work(self, place: Place) -> None:
        """Stop the work on an entry whose claim passed on: its result would change nothing.

        An entry that is just being settled is no longer ours either, and not lost.
        """
        entry = self._entries.get(place)
        if entry is None or entry.lost or entry.in_transition:
            return
        entry.lost = True
        log.warning("claim_lost", stream=place[0], entry=place[1], note="another worker has it")
        if entry.task is not None:
            entry.task.cancel()

    async def hand_back(self, *deliveries: Delivery, pause_s: float = 0) -> None:
        """Let any worker take these at once or after `pause_s`, their delivery uncounted."""
        for stream, ids in _by_stream(map(_place, deliveries)).items():
            await self.link.retry_until_answered(
                hand_back, self.store, stream, self.group, self.consumer, ids, pause_s=pause_s
            )


def _place(delivery: Delivery) -> Place:
    return delivery.claim.stream, delivery.claim.entry


def _by_stream(places: Iterable[Place]) -> dict[str, list[str]]:
    """Group the ids of entries by their streams."""
    streams: dict[str, list[str]] = defaultdict(list)
    for stream, entry_id in places:
        streams[stream].append(entry_id)
    return streams
