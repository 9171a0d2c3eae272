"""A shipper on a Redis that answers as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import Commitment, Committed, Published, Verdict
from common.utterance import Utterance
from producer.shipping.drafts import Draft
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper

PATIENCE_S = 30.0
MAX_BACKLOG = 4


class Server:
    """Notes what it is asked, in order; `answers` are given first, an exception is raised."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held: list[int] = []
        self.answers: list[Any] = []
        self.commitments: list[Any] = []
        self.abandonments: list[Any] = []
        self.length = 0
        self.taken: int | Exception = 0
        self.changed = asyncio.Event()

    def _note(self, what: str, answers: list[Any], default: Any) -> Any:
        self.asked.append(what)
        self.changed.set()
        answer = answers.pop(0) if answers else default
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def publish(self, store: Store, utterance: Utterance) -> Published:
        self.held.append(utterance.hold_ms)
        final = "" if utterance.final else " draft"
        answer: Published = self._note(
            f"publish {utterance.id} {utterance.revision}{final}",
            self.answers,
            Published(Verdict.ACCEPTED, 1),
        )
        return answer

    async def commit(self, store: Store, session: str, utterance: str, revision: int) -> Committed:
        outcome: Commitment = self._note(
            f"commit {utterance} {revision}", self.commitments, Commitment.OK
        )
        return Committed(outcome, 7 if outcome is Commitment.OK else 0)

    async def keep_open(self, store: Store, session: str, utterance: str) -> bool:
        return bool(self._note(f"keep open {utterance}", [], True))

    async def abandon(self, store: Store, session: str, utterance: str) -> bool:
        return bool(self._note(f"abandon {session} {utterance}", self.abandonments, True))

    async def xlen(self, stream: str) -> int:
        return self.length

    async def xpending(self, stream: str, group: str) -> dict[str, int | None]:
        if isinstance(self.taken, Exception):
            raise self.taken
        return {"pending": self.taken, "min": None}

    async def until(self, *asked: str) -> None:
        """Wait until it was asked for just this."""
        async with asyncio.timeout(PATIENCE_S):
            while self.asked != list(asked):
                self.changed.clear()
                await self.changed.wait()


class Bench:
    """A shipper on a server, with what a test does to them."""

    def __init__(self, server: Server, outbox: Outbox) -> None:
        redis: Any = server
        self.server = server
        self.outbox = outbox
        self.now = 100.0
        self.link = Link(redis, RedisSettings(), max_pause_s=0.001)
        store = Store(redis, 1, LimitSettings())
        self.shipper = Shipper(
            store, self.link, outbox, eager_backlog=MAX_BACKLOG, clock=lambda: self.now
        )
        self.eager = self.shipper.eager

    async def connect(self) -> None:
        async def ping() -> None:
            pass

        await self.link.call(ping)

    def draft(self, name: str, revision: int = 1) -> Draft:
        return Draft(
            Utterance(id=name, session="s1", revision=revision, final=False), self.now - 0.25
        )

    def add(self, name: str, revision: int = 1, *, final: bool = True) -> None:
        self.outbox.add(Utterance(id=name, session="s1", revision=revision, final=final), age_s=0)
        self.shipper.added()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.shipper.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def rest(self) -> None:
        """Wait until the shipper has nothing to do."""
        self.shipper._idle.clear()
        self.shipper._added.set()
        await self.shipper._idle.wait()
