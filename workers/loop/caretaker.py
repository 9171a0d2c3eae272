"""What every worker does from time to time for all sessions: tend, trim, remove dead consumers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
from redis.exceptions import ResponseError

from common.backoff import jitter
from common.errors import Refused
from common.keys import LLM_GROUP, NOBODY, SESSION_ID, STT_GROUP, Shard
from common.latch import Latch
from common.redis.failures import is_hopeless, is_unusable
from common.redis.link import Link
from common.redis.store import Store
from common.status.sessions import read_quarantine
from common.transitions.claims import leave, mend_idle
from common.transitions.letter_limits import count_letters
from common.transitions.tending import due_sessions, report_trimmed, set_aside, tend, trim

TEND_EVERY_S: Final = 2.0
TRIM_EVERY: Final = 10
"""In rounds of tending, like the next two."""

RETRY_EVERY: Final = 30
REMOVE_EVERY: Final = 30
SESSIONS_AT_ONCE: Final = 32
DEAD_AFTER_CLAIMS: Final = 30
"""A consumer that has read nothing for this many `claim_idle_s` and has no entries belongs to a
process that is gone: a live one reads every few seconds."""

Step = Callable[[Shard], Awaitable[None]]

log = structlog.get_logger(__name__)


class Caretaker:
    """Runs beside the readers. Several workers may do the same work: that does no harm.

    Each shard, each step and each session goes its own way: what cannot be read in one stops no
    other. `streams` are those of a shard that its worker reads, as one of `group`.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        consumer: str,
        *,
        claim_idle_s: float,
        group: str = STT_GROUP,
        streams: Callable[[Shard], Sequence[str]] = lambda _: (),
    ) -> None:
        self._group = group
        self._streams = streams
        self._store = store
        self._link = link
        self._redis: Any = store.redis
        self._consumer = consumer
        self._dead_after_ms = DEAD_AFTER_CLAIMS * claim_idle_s * 1000
        self._troubles: dict[tuple[str, int], Latch[str]] = {}

    async def run(self) -> None:
        """Look after all shards, until cancelled."""
        async with asyncio.TaskGroup() as shards:
            for shard in self._store.all_shards():
                shards.create_task(self._look_after(shard), name=f"caretaker {shard.number}")

    async def _look_after(self, shard: Shard) -> None:
        every: list[tuple[int, Step]] = [
            (1, self.tend),
            (1, self.mend_idle),
            (TRIM_EVERY, self.trim),
            (RETRY_EVERY, self.retry),
            (REMOVE_EVERY, self.remove_consumers),
        ]
        rounds = 0
        while True:
            await asyncio.sleep(jitter(TEND_EVERY_S))
            rounds += 1
            for interval, step in every:
                if rounds % interval == 0 and not await self._take(step, shard):
                    break  # Redis is away: the other steps would find nothing else

    async def _take(self, step: Step, shard: Shard) -> bool:
        """Take a step; return False if Redis is away. Logs any other failure, once."""
        trouble = self._troubles.setdefault((step.__name__, shard.number), Latch(""))
        try:
            await step(shard)
        except Exception as error:
            if is_unusable(error):
                return False
            if trouble.change_to(f"{type(error).__name__}: {error}"):
                known = isinstance(error, (Refused, ResponseError))
                log.error(
                    "tending_failed",
                    step=step.__name__,
                    shard=shard.number,
                    why=str(error),
                    exc_info=None if known else error,
                )
        else:
            trouble.change_to("")
        return True

    async def tend(self, shard: Shard) -> None:
        """Repair the sessions that are due; set aside those that cannot be read."""
        call = self._link.part(shard.number).call
        for session in await call(due_sessions, self._store, shard, SESSIONS_AT_ONCE):
            if SESSION_ID.match(session) and self._store.shard(session) == shard:
                await self._tend_one(shard, session)
            else:
                await call(set_aside, self._store, shard, session, "")
                log.warning("no_session", shard=shard.number, name=repr(session[:80]))

    async def retry(self, shard: Shard) -> None:
        """Try some of the sessions that were set aside: a person may have repaired them."""
        call = self._link.part(shard.number).call
        for session in await call(read_quarantine, self._store, shard, SESSIONS_AT_ONCE):
            await self._tend_one(shard, session)

    async def _tend_one(self, shard: Shard, session: str) -> None:
        call = self._link.part(shard.number).call
        try:
            mended = await call(tend, self._store, session)
        except Exception as error:
            if is_unusable(error):
                raise
            if await self._link.part(shard.number).call(
                set_aside, self._store, shard, session, str(error)
            ):
                log.error("session_set_aside", session=session, why=str(error))
            return
        if mended:
            log.warning("session_mended", session=session, how=mended)

    async def mend_idle(self, shard: Shard) -> None:
        """Let claims age again, in case the clock of the server was set back."""
        for stream in self._streams(shard):
            await self._link.part(shard.number).call(mend_idle, self._store, stream, self._group)

    async def trim(self, shard: Shard) -> None:
        """Delete what is too old or too much, and log what the limits have cost."""
        trimmed = await self._link.part(shard.number).call(trim, self._store, shard)
        report_trimmed(trimmed)
        if trimmed.uncounted:
            await self._count_letters(shard)

    async def _count_letters(self, shard: Shard) -> None:
        """Count letters of an older version, if this user may read any; else `sweep` does it."""
        try:
            await count_letters(self._store, shard)  # not by the link, which would log the refusal
        except Exception as error:
            if not is_hopeless(error):
                raise

    async def remove_consumers(self, shard: Shard) -> None:
        """Remove the dead consumers of a shard's work streams."""
        failure: Exception | None = None
        groups = {shard.turns: LLM_GROUP, shard.utterances: STT_GROUP, shard.recordings: STT_GROUP}
        for stream, group in groups.items():
            try:
                await self.remove_dead_consumers(stream, group, self._link.part(shard.number))
            except ResponseError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    async def remove_dead_consumers(
        self, stream: str, group: str, link: Link | None = None
    ) -> None:
        """Remove the consumers of processes that are gone, but none with pending entries."""
        call = (link or self._link).call
        try:
            consumers = await call(self._redis.xinfo_consumers, stream, group)
        except ResponseError as error:
            if is_unusable(error) or str(error).startswith("WRONGTYPE"):
                raise
            return  # no such stream or group yet
        spared = {name.encode() for name in (self._consumer, *NOBODY)}
        for consumer in consumers:
            name = consumer["name"]
            if name in spared or consumer["pending"]:
                continue
            if consumer["idle"] > self._dead_after_ms:
                await call(leave, self._store, stream, group, name)
