"""The LLM worker's handler without the consumer loop, on a real Redis and an LLM server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Self, TypeVar

from common.events import Event, ReplyDelta, parse_event
from common.keys import LLM_GROUP
from common.redis.failures import is_away
from common.redis.store import Store
from common.settings import LlmSettings
from common.transitions.claims import Claim, Settled
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from workers.llm.handler import LlmHandler
from workers.loop.handler import Delivery

Answer = TypeVar("Answer")

SESSION: Final = "s1"
WORKER: Final = "llm-1"
PATIENCE_S: Final = 30.0


class RetryingContext:
    """What the handler sees of the loop; repeats a transition for as long as Redis is away."""

    answers = 0

    async def retry_until_answered(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        while True:
            try:
                return await transition()
            except Exception as error:
                if not is_away(error):
                    raise
                await asyncio.sleep(0.01)

    async def try_once(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        return await transition()

    def note_answer(self) -> None:
        self.answers += 1

    def update_record(self, **changes: Any) -> None:
        raise AssertionError(f"the handler has nothing to publish, and published {changes}")


class LlmHandlerHarness:
    """A store, an LLM server at `base_url`, and one handler between them."""

    def __init__(self, store: Store, base_url: str, **settings: Any) -> None:
        self.store = store
        self.shard = store.shard(SESSION)
        self.settings = LlmSettings(base_url=base_url, **({"delta_interval_ms": 0} | settings))
        self.handler = LlmHandler(store, self.settings)
        self.context = RetryingContext()
        self._numbers = count(1)
        self.redis: Any = store.redis

    async def publish(self, text: str, *, session: str = SESSION, **more: Any) -> int:
        """Publish a turn; `more` are further fields of the utterance. Return its number."""
        utterance = Utterance(id=f"u{next(self._numbers)}", session=session, text=text, **more)
        published = await publish(self.store, utterance)
        assert published.verdict is Verdict.ACCEPTED
        return published.turn

    async def take_wake_up(self, consumer: str = WORKER) -> Delivery:
        """Read the next wake-up as `consumer`."""
        answer = await self.redis.xreadgroup(LLM_GROUP, consumer, {self.shard.turns: ">"}, count=1)
        ((stream, ((entry, fields),)),) = answer
        return Delivery(Claim(self.shard, stream.decode(), entry.decode(), consumer), fields, 1)

    async def answer_next(self) -> Settled:
        """Handle the next wake-up."""
        return await self.handler.handle(await self.take_wake_up(), self.context)

    async def events(self, kind: type[Event] | None = None) -> list[Any]:
        rows = await self.redis.xrange(self.shard.results)
        events = [parse_event(fields) for _, fields in rows]
        return [event for event in events if kind is None or isinstance(event, kind)]

    async def deltas(self) -> list[ReplyDelta]:
        rows = await self.redis.xrange(self.shard.deltas)
        events = [parse_event(fields) for _, fields in rows]
        return [event for event in events if isinstance(event, ReplyDelta)]

    async def nothing_waits(self) -> bool:
        pending = await self.redis.xpending(self.shard.turns, LLM_GROUP)
        return not pending["pending"] and not await self.redis.xlen(self.shard.turns)

    @classmethod
    @asynccontextmanager
    async def running(cls, store: Store, base_url: str, **settings: Any) -> AsyncIterator[Self]:
        """Start the handler, and close it at the end."""
        harness = cls(store, base_url, **settings)
        await store.redis.xgroup_create(harness.shard.turns, LLM_GROUP, id="0", mkstream=True)
        await harness.handler.start(harness.context)
        try:
            yield harness
        finally:
            await harness.handler.close()
