"""A real LLM worker between a real Redis and the stand-in: the consumer loop in the test's event
loop, with pauses so short that a test can wait for what becomes of a request that fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

import pytest

from common.events import Error, Reply, ReplyDelta, Skipped, parse_event
from common.keys import worker_key
from common.redis.client import connect
from common.redis.store import Store
from common.settings.loading import load_settings
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until
from workers.llm.handler import LlmHandler
from workers.loop import breaker, decisions, delivery_runner, intake, reader
from workers.loop.consumer_loop import ConsumerLoop

NAME: Final = "llm-1"
MODEL: Final = "m"


class AnsweringWorker:
    """One worker; `settings` are those of the section `llm`."""

    def __init__(self, server: RedisServer, base_url: str, settings: dict[str, Any]) -> None:
        values = {"base_url": base_url, "model": MODEL, "delta_interval_ms": 0} | settings
        self._settings = load_settings(
            {
                "shards": 1,
                "redis": {"url": server.url},
                "worker": {"max_deliveries": 2, "backoff_max_s": 0.1, "drain_timeout_s": 1},
                "llm": values,
            }
        )
        self.store = Store(connect(self._settings.redis), 1, self._settings.limits)
        self.redis: Any = self.store.redis
        self.shard = self.store.all_shards()[0]
        self._numbers = count(1)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        handler = LlmHandler(self.store, self._settings.llm)
        await ConsumerLoop(self.store, self._settings, handler, NAME).run(stop)

    async def say(self, text: str, session: str) -> int:
        """Publish a turn; return its number."""
        utterance = Utterance(id=f"u{next(self._numbers)}", session=session, text=text)
        published = await publish(self.store, utterance)
        assert published.verdict is Verdict.ACCEPTED
        return published.turn

    async def ask(self, text: str, session: str) -> Reply | Skipped | Error:
        """Publish a turn, and wait until it has ended; return how."""
        turn = await self.say(text, session)
        return await self.ending(session, turn)

    async def ending(self, session: str, turn: int) -> Reply | Skipped | Error:
        """Wait until a turn has ended; return how."""

        async def look() -> Any:
            for event in await self._events(self.shard.results):
                if isinstance(event, Reply | Skipped | Error) and (event.session, event.turn) == (
                    session,
                    turn,
                ):
                    return event
            return None

        ended: Reply | Skipped | Error = await until(look)
        return ended

    async def has_ended(self, session: str, turn: int) -> bool:
        """Return whether a turn has ended by now."""
        ends = (Reply, Skipped, Error)
        return any(
            isinstance(event, ends) and (event.session, event.turn) == (session, turn)
            for event in await self._events(self.shard.results)
        )

    async def deltas(self, session: str) -> list[ReplyDelta]:
        """Return the deltas of a session."""
        events = await self._events(self.shard.deltas)
        return [one for one in events if isinstance(one, ReplyDelta) and one.session == session]

    async def history(self, session: str) -> list[dict[str, str]]:
        """Return what is remembered of a session."""
        rows = await self.redis.lrange(self.shard.history(session), 0, -1)
        return [json.loads(row) for row in rows]

    async def wait_for_sentence(self, *phrases: str) -> str:
        """Wait until the worker says what it waits for, in these words; return the sentence."""

        async def look() -> Any:
            raw = await self.redis.get(worker_key(NAME))
            return (json.loads(raw) if raw else {}).get("waits_for")

        said: str = await until(look, lambda said: said and all(one in said for one in phrases))
        return said

    async def _events(self, stream: str) -> list[Any]:
        return [parse_event(fields) for _, fields in await self.redis.xrange(stream)]


@asynccontextmanager
async def running_answering_worker(
    server: RedisServer,
    standin: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    *,
    path: str = "/v1",
    **settings: Any,
) -> AsyncIterator[AnsweringWorker]:
    """Run a worker on an empty Redis. `path` follows the stand-in's origin in the base URL."""
    monkeypatch.setattr(reader, "BLOCK_MS", 50)
    monkeypatch.setattr(intake, "TAKE_OVER_EVERY_S", 0.05)
    monkeypatch.setattr(delivery_runner, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(delivery_runner, "SAME_MOMENT_S", 0.01)
    monkeypatch.setattr(delivery_runner, "LONGEST_WISH_S", 0.05)
    monkeypatch.setattr(decisions, "BUSY_PATIENCE_S", 0.2)
    monkeypatch.setattr(breaker, "FIRST_PAUSE_S", 0.05)
    worker = AnsweringWorker(server, standin.origin + path, settings)
    await worker.redis.flushall()
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await running
        await worker.redis.aclose()
