"""What every worker does from time to time for all sessions: tend, trim, remove dead consumers."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from redis.exceptions import ResponseError

from common.backoff import jitter
from common.errors import Refused
from common.keys import LLM_GROUP, NOBODY, STT_GROUP, Shard
from common.redis.failures import is_unusable
from common.redis.link import Link
from common.redis.store import Store
from common.status.sessions import due_sessions
from common.transitions.claims import leave
from common.transitions.tending import report_trimmed, tend, trim

TEND_EVERY_S: Final = 2.0
TRIM_EVERY: Final = 10
"""In rounds of tending, like REMOVE_EVERY."""

REMOVE_EVERY: Final = 30
SESSIONS_AT_ONCE: Final = 32
DEAD_AFTER_CLAIMS: Final = 30
"""A consumer that has read nothing for this many `claim_idle_s` and has no entries belongs to a
process that is gone: a live one reads every few seconds."""

log = structlog.get_logger(__name__)


class Caretaker:
    """Runs beside the readers. Several workers may do the same work: that does no harm."""

    def __init__(self, store: Store, link: Link, consumer: str, *, claim_idle_s: float) -> None:
        self._store = store
        self._link = link
        self._redis: Any = store.redis
        self._consumer = consumer
        self._dead_after_ms = DEAD_AFTER_CLAIMS * claim_idle_s * 1000

    async def run(self) -> None:
        """Tend and trim all shards and remove dead consumers, until cancelled."""
        rounds = 0
        while True:
            await asyncio.sleep(jitter(TEND_EVERY_S))
            rounds += 1
            for shard in self._store.all_shards():
                try:
                    await self.tend(shard)
                    if rounds % TRIM_EVERY == 0:
                        await self.trim(shard)
                    if rounds % REMOVE_EVERY == 0:
                        await self.remove_dead_consumers(shard.turns, LLM_GROUP)
                        for stream in (shard.utterances, shard.recordings):
                            await self.remove_dead_consumers(stream, STT_GROUP)
                except Exception as error:
                    if not is_unusable(error):
                        log.exception("tending_failed", shard=shard.number)

    async def tend(self, shard: Shard) -> None:
        """Repair the sessions that are due."""
        sessions: Sequence[str] = await self._link.call(
            due_sessions, self._store, shard, SESSIONS_AT_ONCE
        )
        for session in sessions:
            try:
                mended = await self._link.call(tend, self._store, session)
            except Refused as error:
                log.error("cannot_tend", session=session, why=str(error))
                continue
            if mended:
                log.warning("session_mended", session=session, how=mended)

    async def trim(self, shard: Shard) -> None:
        """Delete what is too old or too much, and log what a limit on the count has cost."""
        report_trimmed(await self._link.call(trim, self._store, shard))

    async def remove_dead_consumers(self, stream: str, group: str) -> None:
        """Remove the consumers of processes that are gone, but none with pending entries."""
        try:
            consumers = await self._link.call(self._redis.xinfo_consumers, stream, group)
        except ResponseError:
            return  # no such stream or group yet
        for consumer in consumers:
            name = consumer["name"].decode()
            if name in {self._consumer, *NOBODY} or consumer["pending"]:
                continue
            if consumer["idle"] > self._dead_after_ms:
                await self._link.call(leave, self._store, stream, group, name)
