"""Workers in the test's own event loop: the real loop and STT handler, on a real Redis.

The audio carries a number (`ops.bench.chaos.speech`) in place of speech. A test decides what
happens when an engine comes to a number: it blocks, fails, or takes its time.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from common.events import Event, Transcript, parse_event
from common.keys import STT_GROUP, worker_key
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.settings import Settings
from common.settings.loading import load_settings
from common.transitions.publishing import Verdict, publish
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import InstantEngine, make_utterance, read_number, spoken_text
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from workers.loop import reader
from workers.loop.consumer_loop import ConsumerLoop
from workers.stt.engine import Hints, Transcription
from workers.stt.handler import SttHandler

PATIENCE_S: Final = 30.0
CLAIM_S: Final = 0.6
"""A claim that passes soon: for a worker that takes over what nobody else is working on.

A machine that stalls for so long lets the claims of living workers pass as well."""

LONGER_CLAIM_S: Final = 3.0
"""For a worker that must not take what another, with claims of `CLAIM_S`, keeps by heartbeats."""

FOREVER_S: Final = 600.0
"""A claim that does not pass in a test, as by default: what goes on elsewhere was handed back."""


class HookedEngine(InstantEngine):
    """An engine that runs `hooks[number]` before it hears a number, and `probe` to warm up."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.hooks: dict[int, Callable[[], None]] = {}
        self.probe: Callable[[], None] | None = None
        self.probes = 0

    def transcribe(self, samples: NDArray[np.int16], hints: Hints) -> Transcription:
        number, _ = read_number(samples)
        self.calls.append(number)
        if hook := self.hooks.get(number):
            hook()
        return super().transcribe(samples, hints)

    def warm_up(self) -> None:
        try:
            if self.probe is not None:
                self.probe()
        finally:
            self.probes += 1


@dataclass(eq=False)
class WorkerTask:
    """One worker; `task` is its loop."""

    name: str
    engine: HookedEngine
    store: Store
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    async def terminate(self) -> None:
        """As after SIGTERM."""
        self.stop.set()
        await self.task

    async def kill(self) -> None:
        """As after SIGKILL, as far as Redis can tell: no goodbye, no more heartbeats."""
        works = [
            task for task in asyncio.all_tasks() if task.get_name().startswith(f"work {self.name} ")
        ]
        for task in [self.task, *works]:
            task.cancel()
        await asyncio.gather(self.task, *works, return_exceptions=True)
        await self.store.redis.aclose()


@dataclass
class WorkerTasks:
    """The workers of a test. `values` are settings that override the defaults of `_settings`."""

    server: RedisServer
    shards: int = 1
    url: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    grace_s: float = 0.0
    workers: list[WorkerTask] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.settings = self._settings()
        self.store = self._store(self.server.url)
        # the test's own commands outlast an absence of Redis as well
        self.link = Link(self.store.redis, self.settings.redis, max_pause_s=0.1)

    def _settings(self) -> Settings:
        worker = {
            "claim_idle_s": FOREVER_S,
            "max_deliveries": 3,
            "backoff_max_s": 0.2,
            "drain_timeout_s": 5,
        }
        return load_settings(
            {
                "shards": self.shards,
                "redis": {"url": self.url or self.server.url},
                "worker": worker | self.values.get("worker", {}),
                "stt": {"model": InstantEngine.name} | self.values.get("stt", {}),
                "limits": {"tend_after_s": 1} | self.values.get("limits", {}),
            }
        )

    def _store(self, url: str) -> Store:
        redis = self.settings.redis.model_copy(update={"url": url})
        return Store(connect(redis), self.shards, self.settings.limits)

    async def start(
        self, name: str, engine: HookedEngine | None = None, **worker: Any
    ) -> WorkerTask:
        """Start a worker and wait until it reads; `worker` are settings of that section."""
        started = self.start_without_waiting(name, engine, **worker)
        await self.wait_for_state(started, "ready")
        return started

    async def start_broken(self, name: str, engine: HookedEngine, **worker: Any) -> WorkerTask:
        """Start a worker whose server is unusable, and wait until it has found that out."""
        started = self.start_without_waiting(name, engine, **worker)
        await self.wait_for_state(started, "waiting")
        return started

    def start_without_waiting(
        self, name: str, engine: HookedEngine | None = None, **worker: Any
    ) -> WorkerTask:
        """Start a worker, whatever state it comes to."""
        engine = engine or HookedEngine()
        settings = self.settings.model_copy(
            update={"worker": self.settings.worker.model_copy(update=worker)}
        )
        store = self._store(self.settings.redis.url)
        handler = SttHandler(store, settings.stt, load=lambda _: engine)
        handler.grace_s = self.grace_s
        loop = ConsumerLoop(store, settings, handler, name)
        stop = asyncio.Event()
        worker_ = WorkerTask(name, engine, store, stop, asyncio.create_task(loop.run(stop)))
        self.workers.append(worker_)
        return worker_

    async def wait_for_state(self, worker: WorkerTask, state: str) -> dict[str, Any]:
        """Wait until the worker reports this state; return all that it reports."""

        async def look() -> Any:
            if worker.task.done():
                worker.task.result()
            raw = await self.link.retry_until_answered(
                self.store.redis.get, worker_key(worker.name)
            )
            report = json.loads(raw) if raw else {}
            return report if report.get("state") == state else None

        report: dict[str, Any] = await until(look)
        return report

    async def publish(
        self, number: int, *, session: str = "s", recording: bool = False, kind: Kind = Kind.SPEECH
    ) -> int:
        """Publish an utterance that carries a number; return its turn."""
        utterance = make_utterance(PlannedUtterance(number, session, 0.0, kind), InstantEngine.name)
        published = await self.link.retry_until_answered(
            publish, self.store, utterance, recording=recording
        )
        assert published.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}
        return published.turn

    async def events(self, kind: type[Event] | None = None) -> list[Any]:
        redis: Any = self.store.redis
        rows = [
            row
            for shard in self.store.all_shards()
            for row in await self.link.retry_until_answered(redis.xrange, shard.results)
        ]
        events = [parse_event(fields) for _, fields in rows]
        return [event for event in events if kind is None or isinstance(event, kind)]

    async def transcripts(self) -> list[str]:
        return [event.data.text for event in await self.events(Transcript)]

    async def wait_for_transcripts(self, *numbers: int) -> None:
        """Wait until exactly these numbers, in any order, have been transcribed."""
        expected = sorted(map(spoken_text, numbers))

        async def look() -> bool:
            return sorted(await self.transcripts()) == expected

        await until(look)

    async def pending(self, stream: str | None = None) -> list[dict[str, Any]]:
        """Return the claims of a stream; by default of the first shard's live utterances."""
        redis: Any = self.store.redis
        chosen = stream or self.store.all_shards()[0].utterances
        rows: list[dict[str, Any]] = await self.link.retry_until_answered(
            redis.xpending_range, chosen, STT_GROUP, "-", "+", 1_000
        )
        return rows

    async def dead_letters(self) -> list[dict[str, str]]:
        """Return the dead letters, without their audio."""
        redis: Any = self.store.redis
        rows = [row for shard in self.store.all_shards() for row in await redis.xrange(shard.dead)]
        return [
            {
                name.decode(): value.decode(errors="replace")
                for name, value in fields.items()
                if name != b"audio"
            }
            for _, fields in rows
        ]

    def hold(self) -> None:
        """Block until `released` is set, or the test ends; a hook."""
        assert self.released.wait(PATIENCE_S)

    async def close(self) -> None:
        self.released.set()
        for worker in self.workers:
            worker.stop.set()
        await asyncio.gather(*(worker.task for worker in self.workers), return_exceptions=True)
        for store in (self.store, *(worker.store for worker in self.workers)):
            await store.redis.aclose()


def failing(error: Exception, times: int) -> Callable[[], None]:
    """Return a hook that raises the error so many times, and then does nothing."""
    left = [error] * times

    def hook() -> None:
        if left:
            raise left.pop()

    return hook


@asynccontextmanager
async def running_worker_tasks(
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    shards: int = 1,
    url: str = "",
    **values: Any,
) -> AsyncIterator[WorkerTasks]:
    """Yield a place to start workers; all of them have left at the end.

    A worker waits for new work for a tenth of a second at a time.
    """
    monkeypatch.setattr(reader, "BLOCK_MS", 100)
    workers = WorkerTasks(server, shards, url, values)
    try:
        yield workers
    finally:
        await workers.close()
