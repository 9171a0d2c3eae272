"""Taking entries of one shard: new ones, and those that were handed back or abandoned."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from common.keys import HANDED_BACK, Shard
from common.redis.link import Link
from common.redis.store import Store, ms
from common.transitions.claims import Claim, drop_vanished, make_group
from workers.loop.handler import Delivery, DeliveryKind

BLOCK_MS: Final = 2_000
"""Well below redis-py's socket timeout of 5 s (SOCKET_TIMEOUT_S)."""

log = structlog.get_logger(__name__)


class Reader:
    """Takes entries of the work streams of one shard, for one consumer."""

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
    ) -> None:
        self._store = store
        self._link = link
        self._redis: Any = store.redis
        self.shard = shard
        self.streams = streams
        self._group = group
        self._consumer = consumer
        self._claim_idle_s = claim_idle_s
        self._cursors = dict.fromkeys(streams, "0-0")

    async def make_groups(self) -> None:
        """Create the missing groups, from the start of the stream, so that nothing is skipped."""
        for stream in self.streams:
            if await self._link.call(make_group, self._store, stream, self._group):
                log.info("group_made", stream=stream, group=self._group)

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
        answer = await self._link.call(
            self._redis.xreadgroup,
            self._group,
            self._consumer,
            dict.fromkeys(streams, ">"),
            count=1,
            block=block_ms,
        )
        return [
            self._delivery(stream.decode(), entry, fields, 1, "new")
            for stream, entries in answer
            for entry, fields in entries
        ]

    async def take_over(self, limit: int) -> list[Delivery]:
        """Claim entries that other workers handed back or abandoned, at most `limit`.

        In each stream they go before new entries. Those of a later stream wait until an earlier
        one has nothing at all, so that new entries of the earlier one may be returned as well.
        """
        for stream in self.streams:
            if deliveries := await self._take_handed_back(stream) or await self._take_abandoned(
                stream, limit
            ):
                return deliveries
            if stream != self.streams[-1] and (deliveries := await self._read([stream], None)):
                return deliveries
        return []

    async def _take_handed_back(self, stream: str) -> list[Delivery]:
        """Claim an entry that its worker handed back: any worker may take it at once."""
        rows = await self._link.call(
            self._redis.xpending_range,
            stream,
            self._group,
            "-",
            "+",
            1,
            consumername=HANDED_BACK,
        )
        for row in rows:
            claimed = await self._link.call(
                self._redis.xclaim,
                stream,
                self._group,
                self._consumer,
                ms(self._claim_idle_s),  # another may have taken it a moment ago
                [row["message_id"]],
            )
            if deliveries := await self._read_claimed(stream, claimed, "handed_back"):
                return deliveries
        return []

    async def _take_abandoned(self, stream: str, limit: int) -> list[Delivery]:
        """Claim up to `limit` entries whose workers have sent no heartbeat for `claim_idle_s`.

        Only when our own connection has held for that long: after an outage of Redis all entries
        look abandoned, and their workers are about to send heartbeats again.
        """
        # one call looks at ten entries for each that it may return: go on to the end
        while self._link.unbroken_s >= self._claim_idle_s:
            cursor, claimed, *_ = await self._link.call(
                self._redis.xautoclaim,
                stream,
                self._group,
                self._consumer,
                ms(self._claim_idle_s),
                self._cursors[stream],
                count=limit,
            )
            self._cursors[stream] = cursor.decode()
            if deliveries := await self._read_claimed(stream, claimed, "abandoned"):
                log.info("reclaimed", stream=stream, count=len(deliveries))
                return deliveries
            if cursor == b"0-0":
                break
        return []

    async def _read_claimed(
        self, stream: str, claimed: Sequence[Any], kind: DeliveryKind
    ) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for entry, fields in claimed:
            if entry is None or fields is None:
                await self._drop_vanished(stream)
                continue
            number = await self._count_deliveries(stream, entry)
            if number is not None:
                deliveries.append(self._delivery(stream, entry, fields, number, kind))
        return deliveries

    async def _count_deliveries(self, stream: str, entry: bytes) -> int | None:
        rows = await self._link.call(
            self._redis.xpending_range,
            stream,
            self._group,
            entry,
            entry,
            1,
            consumername=self._consumer,
        )
        return int(rows[0]["times_delivered"]) if rows else None

    async def _drop_vanished(self, stream: str) -> None:
        """Acknowledge entries that are pending for us and no longer in the stream."""
        for entry in await self._link.call(
            drop_vanished, self._store, stream, self._group, self._consumer
        ):
            log.warning("entry_vanished", stream=stream, entry=entry)

    def _delivery(
        self,
        stream: str,
        entry: bytes,
        fields: Mapping[bytes, bytes],
        number: int,
        kind: DeliveryKind,
    ) -> Delivery:
        claim = Claim(self.shard, stream, entry.decode(), self._consumer)
        return Delivery(claim, fields, number, kind)

    async def redeliver(self, delivery: Delivery) -> Delivery | None:
        """Count another delivery of an entry in hand; None if the entry is no longer ours."""
        claim = delivery.claim
        if await self._count_deliveries(claim.stream, claim.entry.encode()) is None:
            return None
        await self._link.call(
            self._redis.xclaim, claim.stream, self._group, self._consumer, 0, [claim.entry]
        )
        number = await self._count_deliveries(claim.stream, claim.entry.encode())
        return None if number is None else Delivery(claim, delivery.fields, number, "again")
