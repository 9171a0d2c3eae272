"""Taking entries of one shard: new ones, and those that were handed back, deferred or abandoned."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from common.keys import Shard
from common.redis.link import Link
from common.redis.store import Store
from common.transitions.claims import Claim, make_group, take_over
from workers.loop.handler import Delivery, DeliveryKind

BLOCK_MS: Final = 2_000
"""Well below redis-py's socket timeout of 5 s (SOCKET_TIMEOUT_S)."""

MOST_AVOIDED: Final = 100
"""Entries that failed here and are left to others, at most."""

log = structlog.get_logger(__name__)


class Reader:
    """Takes entries of the work streams of one shard, for one consumer; `link` is the shard's.

    An entry that failed here is left to other workers for `grace_s` (s) when it may be tried again.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        shard: Shard,
        streams: Sequence[str],
        group: str,
        consumer: str,
        *,
        claim_idle_s: float,
        grace_s: float = 0,
    ) -> None:
        self._store = store
        self.link = link
        self._redis: Any = store.redis
        self.shard = shard
        self.streams = streams
        self._group = group
        self._consumer = consumer
        self._claim_idle_s = claim_idle_s
        self._grace_s = grace_s
        self._failed_here: dict[str, None] = {}

    async def make_groups(self) -> None:
        """Create the missing groups, from the start of the stream, so that nothing is skipped."""
        for stream in self.streams:
            if await self.link.call(make_group, self._store, stream, self._group):
                log.info("group_made", stream=stream, group=self._group)

    async def probe(self) -> None:
        """Ask for what changes nothing, and what only a server does that can be used."""
        await self.link.call(self._redis.xack, self.streams[0], self._group, "0-0")

    async def read_available(self) -> list[Delivery]:
        """Return a new entry that is there already; the first stream goes before the second."""
        for stream in self.streams:
            if deliveries := await self._read([stream], None):
                return deliveries
        return []

    async def wait_for_new(self) -> list[Delivery]:
        """Wait up to BLOCK_MS for new entries; return at most one of each stream."""
        return await self._read(self.streams, BLOCK_MS)

    async def _read(self, streams: Sequence[str], block_ms: int | None) -> list[Delivery]:
        answer = await self.link.call(
            self._redis.xreadgroup,
            self._group,
            self._consumer,
            dict.fromkeys(streams, ">"),
            count=1,
            block=block_ms,
        )
        return [
            self._delivery(stream.decode(), entry.decode(), fields, 1, "new")
            for stream, entries in answer
            for entry, fields in entries
        ]

    async def take_over(self, limit: int) -> list[Delivery]:
        """Take entries that other workers handed back or abandoned, or that may be tried again.

        In each stream they go before new entries. Those of a later stream wait until an earlier
        one has nothing at all, so that new entries of the earlier one may be returned as well.
        """
        for stream in self.streams:
            if deliveries := await self._take_over(stream, limit):
                return deliveries
            if stream != self.streams[-1] and (deliveries := await self._read([stream], None)):
                return deliveries
        return []

    async def _take_over(self, stream: str, limit: int) -> list[Delivery]:
        """Take entries of one stream that others left.

        Abandoned ones only when our own connection has held for `claim_idle_s`: after an outage of
        Redis all entries look abandoned, and their workers are about to send heartbeats again.
        """
        taken = await self.link.call(
            take_over,
            self._store,
            stream,
            self._group,
            self._consumer,
            claim_idle_s=self._claim_idle_s,
            limit=limit,
            abandoned=self.link.unbroken_s >= self._claim_idle_s,
            avoided=list(self._failed_here),
            grace_s=self._grace_s,
        )
        for entry in taken.vanished:
            log.warning("entry_vanished", stream=stream, entry=entry)
        if taken.entries and taken.entries[0].kind == "abandoned":
            log.info("reclaimed", stream=stream, count=len(taken.entries))
        return [
            self._delivery(stream, entry.entry, entry.fields, entry.deliveries, entry.kind)
            for entry in taken.entries
        ]

    def note_failure(self, delivery: Delivery) -> None:
        """Leave an entry that failed here to other workers for a moment, when it may be retried."""
        if self._grace_s > 0:
            self._failed_here[delivery.claim.entry] = None
            if len(self._failed_here) > MOST_AVOIDED:
                del self._failed_here[next(iter(self._failed_here))]

    def _delivery(
        self,
        stream: str,
        entry: str,
        fields: Mapping[bytes, bytes],
        number: int,
        kind: DeliveryKind,
    ) -> Delivery:
        self._failed_here.pop(entry, None)
        claim = Claim(self.shard, stream, entry, self._consumer)
        return Delivery(claim, fields, number, kind)
