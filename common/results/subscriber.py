"""Following the results: what `earshot tail`, the demo and dashboards read with.

It merges all shards and both streams, resumes from a cursor and filters by session. It notices when
the server went back in time: restored from an older copy, or failed over to a replica with less.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.exceptions import NoPermissionError, ResponseError

from common.entry_id import NEWEST, OLDEST, added_at_ms, sort_key
from common.errors import BadEntry
from common.events import Event, limit_time, parse_event
from common.keys import Shard
from common.redis.failures import is_away
from common.redis.link import Link
from common.redis.store import Store

BLOCK_MS: Final = 1_000
"""How long a read waits for new entries, well under redis-py's socket timeout."""

BATCH: Final = 200
"""Entries for each read."""

CHECK_AFTER_EMPTY: Final = 5
"""After this many empty reads we check whether the server went back in time."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """One event and its place: `stream` and `entry` together are the cursor to resume from.

    The event's time is not after that of its entry.
    """

    event: Event
    stream: str
    entry: str


@dataclass(slots=True)
class Subscriber:
    """Reads results (and deltas) from `cursors` on.

    `cursors` maps a stream to the last entry id that was read; a stream that is missing there
    starts at `since`: OLDEST (everything that is kept), NEWEST (only what is new) or an entry id.
    Without `follow` it ends when it has read what there is. A `patient` one waits through every
    failure of Redis; another raises those that only a person can mend (a user without permission,
    say), for commands that somebody waits for.
    """

    store: Store
    link: Link
    since: str = NEWEST
    deltas: bool = True
    session: str | None = None
    follow: bool = True
    patient: bool = True
    cursors: dict[str, str] = field(default_factory=dict)

    async def events(self) -> AsyncGenerator[Received, None]:
        """Yield every event: for ever, also after Redis was away, unless `follow` is off.

        A caller that stops early must close it (`contextlib.aclosing`), which ends the readers.
        """
        shards = [self.store.shard(self.session)] if self.session else self.store.all_shards()
        queue: asyncio.Queue[Received | Exception | None] = asyncio.Queue(BATCH * len(shards))
        # One reader for each shard: keys of two shards may lie in two Cluster slots. No TaskGroup,
        # which would cancel our caller while it handles an event.
        readers = [asyncio.create_task(self._read(shard, queue)) for shard in shards]
        ended = 0
        try:
            while ended < len(readers):
                received = await queue.get()
                if isinstance(received, Exception):
                    raise received
                if received is None:
                    ended += 1
                else:
                    yield received
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _read(
        self, shard: Shard, queue: "asyncio.Queue[Received | Exception | None]"
    ) -> None:
        try:
            await self._follow(shard, queue)
        except Exception as error:
            await queue.put(error)
        else:
            await queue.put(None)

    async def _follow(
        self, shard: Shard, queue: "asyncio.Queue[Received | Exception | None]"
    ) -> None:
        streams = [shard.results, *([shard.deltas] if self.deltas else [])]
        link = self.link.part(shard.number)
        for stream in streams:
            await self._start(link, stream)
        outages, empty = link.outages, 0
        while True:
            # a restart or failover looks like an outage, a flush like silence
            if link.outages != outages or empty >= CHECK_AFTER_EMPTY:
                outages, empty = link.outages, 0
                for stream in streams:
                    await self._check_time(link, stream)
            answer = await self._ask(
                link,
                self._redis.xread,
                {stream: self.cursors[stream] for stream in streams},
                BATCH,
                BLOCK_MS if self.follow else None,
            )
            if not answer and not self.follow:
                return
            empty = 0 if answer else empty + 1
            for name, entries in answer:
                stream = name.decode()
                for entry, fields in entries:
                    self.cursors[stream] = entry.decode()
                    if (event := self._parse(fields, stream, entry)) is not None:
                        await queue.put(Received(event, stream, entry.decode()))

    @property
    def _redis(self) -> Any:
        return self.store.redis

    async def _ask(self, link: Link, command: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if self.patient:
            return await link.retry_until_answered(command, *args)
        while True:
            try:
                return await link.call(command, *args)
            except Exception as error:
                if not is_away(error):
                    raise
            await link.pause()

    async def _start(self, link: Link, stream: str) -> None:
        if stream in self.cursors:
            await self._check_time(link, stream)
        elif self.since == NEWEST:
            # not `$`, which would skip what is added between two reads
            self.cursors[stream] = await self._last_id(link, stream)
        else:
            # `since` may lie in the future, which does not mean that the server went back
            self.cursors[stream] = min(self.since, await self._last_id(link, stream), key=sort_key)

    async def _last_id(self, link: Link, stream: str) -> str:
        """Return the last id that was given out, from XINFO: results carry no audio."""
        try:
            info = await self._ask(link, self._redis.xinfo_stream, stream)
        except NoPermissionError:
            raise
        except ResponseError:
            return OLDEST  # no such stream yet
        last: bytes | str = info["last-generated-id"]
        return last.decode() if isinstance(last, bytes) else last

    async def _check_time(self, link: Link, stream: str) -> None:
        """Go on from the server's last entry if our cursor is beyond it: it went back in time."""
        last = await self._last_id(link, stream)
        cursor = self.cursors[stream]
        if sort_key(cursor) > sort_key(last):
            log.warning("server_went_back", stream=stream, cursor=cursor, server=last)
            self.cursors[stream] = last

    def _parse(self, fields: Mapping[bytes, bytes], stream: str, entry: bytes) -> Event | None:
        try:
            event = parse_event(fields)
        except BadEntry as error:
            log.warning("bad_event", stream=stream, entry=entry.decode(), why=str(error))
            return None
        if self.session not in (None, event.session):
            return None
        return limit_time(event, added_at_ms(entry))  # the scripts add events when they happen
