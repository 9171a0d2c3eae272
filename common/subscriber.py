"""Following the results: what `earshot tail`, the demo and dashboards read with.

Merges all shards and both streams, resumes from a cursor, filters by session, and notices when
the server went back in time (restored from an older copy, failed over to a replica that had less).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.exceptions import ResponseError

from common.errors import BadEntry
from common.events import Event, parse_event
from common.keys import Shard
from common.link import Link
from common.store import Store

BLOCK_MS: Final = 1_000  # well under redis-py's socket timeout; how soon a filter change is seen
BATCH: Final = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """One event, and where its stream was read up to with it.

    `stream` and `entry` together are the cursor to resume from.
    """

    event: Event
    stream: str
    entry: str


@dataclass(slots=True)
class Subscriber:
    """Reads results (and deltas) from `cursors` on.

    `cursors` maps a stream to the last entry id that was read; a stream that is missing there
    starts at `since` ("0": everything that is kept, "$": only what is new, or an entry id).
    """

    store: Store
    link: Link
    since: str = "$"
    deltas: bool = True
    session: str | None = None
    cursors: dict[str, str] = field(default_factory=dict)

    async def events(self) -> AsyncIterator[Received]:
        """Every event, for ever; outlasts an absence of Redis."""
        shards = [self.store.shard(self.session)] if self.session else self.store.all_shards()
        queue: asyncio.Queue[Received] = asyncio.Queue(maxsize=BATCH * len(shards))
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(self._follow(shard, queue)) for shard in shards]
            try:
                while True:
                    yield await queue.get()
            finally:
                for reader in readers:
                    reader.cancel()

    async def _follow(self, shard: Shard, queue: "asyncio.Queue[Received]") -> None:
        # one reader per shard: keys of two shards may lie in two Cluster slots
        streams = [shard.results, *([shard.deltas] if self.deltas else [])]
        for stream in streams:
            await self._start(stream)
        epoch = self.link.outages
        while True:
            if self.link.outages != epoch:
                epoch = self.link.outages
                for stream in streams:
                    await self._check_time(stream)
            answer = await self.link.lasting(
                self._redis.xread, {s: self.cursors[s] for s in streams}, BATCH, BLOCK_MS
            )
            for name, entries in answer:
                stream = name.decode()
                for entry, fields in entries:
                    self.cursors[stream] = entry.decode()
                    if (event := self._parse(fields, stream, entry)) is not None:
                        await queue.put(Received(event, stream, entry.decode()))

    @property
    def _redis(self) -> Any:
        return self.store.redis

    async def _start(self, stream: str) -> None:
        if stream in self.cursors:
            await self._check_time(stream)
        elif self.since == "$":
            # an id of our own: `$` would skip what is added between two reads
            self.cursors[stream] = await self._last_id(stream)
        else:
            self.cursors[stream] = self.since

    async def _last_id(self, stream: str) -> str:
        """`last-generated-id`, by way of XINFO: results carry no audio."""
        try:
            info = await self.link.lasting(self._redis.xinfo_stream, stream)
        except ResponseError:
            return "0-0"  # no such stream yet
        last: bytes | str = info["last-generated-id"]
        return last.decode() if isinstance(last, bytes) else last

    async def _check_time(self, stream: str) -> None:
        """Start over at the server's end when it is behind our cursor: it went back in time."""
        last = await self._last_id(stream)
        cursor = self.cursors[stream]
        if cursor != "$" and _number(cursor) > _number(last):
            log.warning("server_went_back", stream=stream, cursor=cursor, server=last)
            self.cursors[stream] = last

    def _parse(self, fields: Mapping[bytes, bytes], stream: str, entry: bytes) -> Event | None:
        try:
            event = parse_event(fields)
        except BadEntry as error:
            log.warning("bad_event", stream=stream, entry=entry.decode(), why=str(error))
            return None
        return event if self.session in (None, event.session) else None


def _number(entry: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)
