"""A store in which sessions say something, and subscribers to it."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

from common.events import Transcript
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Received, Subscriber
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.support.redis_server import RedisServer

PATIENCE_S = 30.0
SESSIONS = "abcdef"


class PublishedResults:
    """A store with a link, and what is said in it."""

    def __init__(self, server: RedisServer, shards: int = 1) -> None:
        settings = RedisSettings(url=server.url)
        self.store = Store(connect(settings), shards, LimitSettings())
        self.link = Link(self.store.redis, settings, max_pause_s=0.05)
        self._count = 0

    @property
    def redis(self) -> Any:
        return self.store.redis

    async def say(self, *texts: str, session: str = "a") -> None:
        """Each makes two events: `heard` and `transcript`."""
        for text in texts:
            self._count += 1
            await self.link.retry_until_answered(
                publish,
                self.store,
                Utterance(id=f"u{self._count}", session=session, text=text),
            )

    async def delta(self, text: str, session: str = "a") -> None:
        await self.redis.xadd(
            self.store.shard(session).deltas,
            {
                "v": 1,
                "type": "reply.delta",
                "session": session,
                "epoch": 1,
                "turn": 1,
                "id": "u1",
                "at": 1,
                "data": json.dumps({"attempt": 1, "index": 0, "text": text}),
            },
        )

    def subscriber(self, **options: Any) -> Subscriber:
        return Subscriber(self.store, self.link, **options)


async def read_all(subscriber: Subscriber) -> list[Received]:
    """Everything that there is."""
    async with asyncio.timeout(PATIENCE_S), aclosing(subscriber.events()) as events:
        return [received async for received in events]


class Following:
    """A subscriber that follows, in a task of its own."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.received: list[Received] = []
        self._subscriber = subscriber
        self._more = asyncio.Condition()
        self._task = asyncio.create_task(self._follow())

    async def __aenter__(self) -> "Following":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        async with aclosing(self._subscriber.events()) as events:
            async for received in events:
                async with self._more:
                    self.received.append(received)
                    self._more.notify_all()

    async def texts(self, count: int) -> list[str]:
        """The texts of the transcripts, as soon as there are `count`."""
        async with asyncio.timeout(PATIENCE_S), self._more:
            await self._more.wait_for(lambda: len(transcript_texts(self.received)) >= count)
        return transcript_texts(self.received)


def transcript_texts(received: list[Received]) -> list[str]:
    return [one.event.data.text for one in received if isinstance(one.event, Transcript)]
