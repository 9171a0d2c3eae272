"""Getting entries out of one shard: new ones, handed-back ones, and those of dead workers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from common.keys import HANDED_BACK, Shard
from common.redis.link import Link
from common.redis.store import Store, ms
from common.transitions.claims import Claim, drop_vanished, make_group
from workers.loop.handler import Kind, Work

BLOCK_MS: Final = 2_000  # well under redis-py's socket timeout of 5 s

log = structlog.get_logger(__name__)


class Reader:
    """One consumer's view of the work streams of one shard."""

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
        """Make the groups that are missing, from the start of the stream: nothing is skipped."""
        for stream in self.streams:
            if await self._link.call(make_group, self._store, stream, self._group):
                log.info("group_made", stream=stream, group=self._group)

    async def waiting(self) -> list[Work]:
        """A new entry that is there already, the first stream's before the second's."""
        for stream in self.streams:
            if works := await self._read([stream], None):
                return works
        return []

    async def next(self) -> list[Work]:
        """New entries, at most one of each stream; waits up to BLOCK_MS for one."""
        return await self._read(self.streams, BLOCK_MS)

    async def _read(self, streams: Sequence[str], block_ms: int | None) -> list[Work]:
        answer = await self._link.call(
            self._redis.xreadgroup,
            self._group,
            self._consumer,
            dict.fromkeys(streams, ">"),
            count=1,
            block=block_ms,
        )
        return [
            self._work(stream.decode(), entry, fields, 1, "new")
            for stream, entries in answer
            for entry, fields in entries
        ]

    async def left_behind(self, room: int) -> list[Work]:
        """What others began and did not end: handed back, or abandoned (at most `room`).

        In a stream it goes before what is new; a later stream's waits until an earlier one has
        nothing at all.
        """
        for stream in self.streams:
            if works := await self._handed_back(stream) or await self._abandoned(stream, room):
                return works
            if stream != self.streams[-1] and (works := await self._read([stream], None)):
                return works
        return []

    async def _handed_back(self, stream: str) -> list[Work]:
        """An entry that its worker gave back: free at once, for whoever is first."""
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
            if works := await self._claimed(stream, claimed, "handed_back"):
                return works
        return []

    async def _abandoned(self, stream: str, room: int) -> list[Work]:
        """Up to `room` entries whose workers have shown no sign of life for `claim_idle_s`.

        Only when our own connection has been good for that long: after an outage of Redis
        everybody's entries look abandoned, and their workers are about to beat again.
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
                count=room,
            )
            self._cursors[stream] = cursor.decode()
            if works := await self._claimed(stream, claimed, "abandoned"):
                log.info("reclaimed", stream=stream, count=len(works))
                return works
            if cursor == b"0-0":
                break
        return []

    async def _claimed(self, stream: str, claimed: Sequence[Any], kind: Kind) -> list[Work]:
        works = []
        for entry, fields in claimed:
            if entry is None or fields is None:
                await self._drop_vanished(stream)
                continue
            deliveries = await self._deliveries(stream, entry)
            if deliveries is not None:
                works.append(self._work(stream, entry, fields, deliveries, kind))
        return works

    async def _deliveries(self, stream: str, entry: bytes) -> int | None:
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
        """Acknowledge what is pending for us and no longer in the stream."""
        for entry in await self._link.call(
            drop_vanished, self._store, stream, self._group, self._consumer
        ):
            log.warning("entry_vanished", stream=stream, entry=entry)

    def _work(
        self,
        stream: str,
        entry: bytes,
        fields: Mapping[bytes, bytes],
        deliveries: int,
        kind: Kind,
    ) -> Work:
        claim = Claim(self.shard, stream, entry.decode(), self._consumer)
        return Work(claim, fields, deliveries, kind)

    async def again(self, work: Work) -> Work | None:
        """Count another delivery of an entry in hand; None if it is no longer ours."""
        claim = work.claim
        if await self._deliveries(claim.stream, claim.entry.encode()) is None:
            return None
        await self._link.call(
            self._redis.xclaim, claim.stream, self._group, self._consumer, 0, [claim.entry]
        )
        deliveries = await self._deliveries(claim.stream, claim.entry.encode())
        return None if deliveries is None else Work(claim, work.fields, deliveries, "again")
