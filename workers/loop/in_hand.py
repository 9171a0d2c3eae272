"""The entries in hand: which tasks work on them, and the heartbeats that keep their claims."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from common.keys import Shard
from common.redis.link import Link
from common.redis.store import Store
from common.transitions.claims import Claim, hand_back, heartbeat
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

    async def send_heartbeats(self, shard: Shard) -> None:
        """Send one heartbeat for all of a shard in hand, and stop the work on what was lost.

        Raises the first error after all streams had theirs.
        """
        deliveries = [entry.delivery for entry in self]
        await _finish_all(
            self._send_heartbeat(claim, ids)
            for claim, ids in _by_stream(one for one in deliveries if one.claim.shard == shard)
        )

    async def _send_heartbeat(self, claim: Claim, ids: Sequence[str]) -> None:
        lost = await self.link.part(claim.shard.number).call(
            heartbeat, self.store, claim.stream, self.group, self.consumer, ids
        )
        for entry_id in lost:
            self._stop_work((claim.stream, entry_id))

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
        await _finish_all(
            self.link.part(claim.shard.number).retry_until_answered(
                hand_back,
                self.store,
                claim.stream,
                self.group,
                self.consumer,
                ids,
                pause_s=pause_s,
            )
            for claim, ids in _by_stream(deliveries)
        )


async def _finish_all(tasks: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run all to their ends at the same time; then raise the first error, if there was any."""
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _place(delivery: Delivery) -> Place:
    return delivery.claim.stream, delivery.claim.entry


def _by_stream(deliveries: Iterable[Delivery]) -> list[tuple[Claim, list[str]]]:
    """Group the ids of entries by their streams, of each of which one claim tells."""
    streams: dict[str, tuple[Claim, list[str]]] = {}
    for delivery in deliveries:
        claim = delivery.claim
        streams.setdefault(claim.stream, (claim, []))[1].append(claim.entry)
    return list(streams.values())
