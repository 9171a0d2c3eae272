"""The one consumer loop that STT and LLM workers share.

It reads new entries (a reader per shard, nothing read without room for it), takes over what was
handed back or abandoned, beats for what is in hand, runs the handler with bounded concurrency,
and decides by what the handler raises. On stop it drains, hands back the rest and leaves.
"""

import asyncio
import time
from contextlib import suppress
from typing import Final

import structlog

from common.errors import Transient
from common.redis.connection import is_unusable
from common.redis.opening import make_link, try_redis, wait_for_redis
from common.redis.store import Store
from common.settings import Settings
from common.status.backlog_metrics import BacklogCollector
from common.stopping import run_until_stopped
from common.telemetry.monitoring import monitored
from common.transitions.claims import leave
from workers.loop import metrics
from workers.loop.attempts import Attempts, LoopDesk
from workers.loop.breaker import Breaker, State
from workers.loop.caretaker import Caretaker
from workers.loop.gate import Gate
from workers.loop.handler import Handler
from workers.loop.in_hand import Hand, Held
from workers.loop.intake import Intake
from workers.loop.reader import BLOCK_MS, Reader
from workers.loop.registration import Registration

BEATS_PER_CLAIM: Final = 4
LAST_WORDS_S: Final = 3.0

log = structlog.get_logger(__name__)


class Loop:
    """One worker process."""

    def __init__(self, store: Store, settings: Settings, handler: Handler, name: str) -> None:
        self._store = store
        self._settings = settings
        self._handler = handler
        self._name = name
        worker = settings.worker
        self._link = make_link(store, settings)
        self._registration = Registration(
            store.redis, name, handler.role, ttl_s=worker.claim_idle_s * 1.5
        )
        self._hand = Hand(store, self._link, handler.group, name)
        self._gate = Gate()
        self._breaker = Breaker(
            handler.probe, self._server_changed, max_pause_s=worker.backoff_max_s
        )
        self._readers = [
            Reader(
                store,
                self._link,
                shard,
                handler.streams(shard),
                handler.group,
                name,
                claim_idle_s=worker.claim_idle_s,
            )
            for shard in store.all_shards()
        ]
        self._caretaker = Caretaker(store, self._link, name, claim_idle_s=worker.claim_idle_s)
        self._attempts = Attempts(
            handler, self._hand, self._link, self._registration, self._breaker, worker
        )
        self._intake = Intake(
            self._readers,
            self._hand,
            self._link,
            limit=self._limit,
            begin=self._begin,
            max_pause_s=worker.backoff_max_s,
        )
        metrics.begin(handler.role)
        metrics.IN_HAND.labels(handler.role).set_function(lambda: len(self._hand))
        metrics.BREAKER.labels(handler.role).set_function(self._breaker_level)

    async def unready(self) -> str:
        """Why this worker cannot work now, in a sentence; empty if it can."""
        if why := self._link.unreachable:
            return why
        record = self._registration.record
        if record.state == "ready":
            return ""
        return record.waits_for or f"the worker is {record.state}"

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain and leave.

        Raises RedisUnusable or what `handler.start` raises, when waiting cannot help.
        """
        async with monitored(
            self._settings.metrics,
            ready=self.unready,
            collectors=[BacklogCollector(self._store, self._link)],
        ):
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        background = [asyncio.create_task(self._beat(), name="heartbeat")]
        intake: list[asyncio.Task[None]] = []
        try:
            if await run_until_stopped(stop, self._get_ready()):
                log.info("ready", role=self._handler.role)
                background += [
                    asyncio.create_task(self._breaker.watch(), name="breaker"),
                    asyncio.create_task(self._caretaker.run(), name="caretaker"),
                ]
                intake += [
                    asyncio.create_task(task, name="intake") for task in self._intake.tasks()
                ]
                await _first_of(stop, [*background, *intake])
            await self._drain(intake)
        finally:
            for task in [*background, *intake]:
                task.cancel()
            await asyncio.gather(*background, *intake, return_exceptions=True)
            await self._handler.close()
        log.info("left")

    async def _get_ready(self) -> None:
        redis = self._link, self._store, self._settings, self._prepare_redis
        # no waiting yet: the model is loaded even while Redis is away
        await try_redis(*redis)
        await self._handler.start(LoopDesk(self._link, self._registration))
        await wait_for_redis(*redis)
        self._registration.update(state="ready")
        try:
            # say right away, not at the first turn, that the server behind the role is unusable
            await self._handler.probe()
        except Transient as error:
            self._breaker.failed(str(error))

    async def _prepare_redis(self) -> None:
        for reader in self._readers:
            await reader.make_groups()
        await self._link.call(self._registration.publish)

    # -- working

    def _limit(self) -> int:
        """How many entries may be in hand now."""
        if self._breaker.state is State.OPEN:
            return 0
        return 1 if self._breaker.state is State.TRIAL else self._handler.concurrency

    def _begin(self, reader: Reader, held: Held) -> None:
        name = f"work {self._name} {held.work.claim.entry}"
        held.task = asyncio.create_task(self._work(reader, held), name=name)

    async def _work(self, reader: Reader, held: Held) -> None:
        work = held.work
        structlog.contextvars.bind_contextvars(stage=self._handler.role, entry=work.claim.entry)
        try:
            async with self._gate.alone() if held.alone else self._gate.shared():
                await self._attempts.run(reader, held)
        except asyncio.CancelledError:
            if not held.lost:
                raise
        except Exception:
            log.exception("work_failed")  # it stays pending and comes back after claim_idle
        finally:
            self._hand.release(held)
            self._intake.look_again()

    def _breaker_level(self) -> int:
        return (State.CLOSED, State.TRIAL, State.OPEN).index(self._breaker.state)

    def _server_changed(self, why: str | None) -> None:
        self._registration.update(state="waiting" if why else "ready", waits_for=why)
        self._intake.look_again()

    # -- staying and leaving

    async def _beat(self) -> None:
        """Heartbeats for what is in hand, and the worker's own sign of life."""
        interval_s = self._settings.worker.claim_idle_s / BEATS_PER_CLAIM
        while True:
            self._registration.update(in_hand=len(self._hand))
            self._registration.changed.clear()
            try:
                await self._hand.beat()
                await self._link.call(self._registration.publish)
            except Exception as error:
                if is_unusable(error):
                    await self._link.pause()
                    continue
                log.exception("heartbeat_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._registration.changed.wait()

    async def _drain(self, intake: list["asyncio.Task[None]"]) -> None:
        """Stop taking, finish what is in hand, hand back the rest, leave."""
        self._intake.stop()
        self._registration.update(state="draining")
        log.info("draining", in_hand=len(self._hand))
        began = time.monotonic()
        if intake:
            # a blocked read must end by itself: cancelling it could lose the entry it was answered
            await asyncio.wait(intake, timeout=BLOCK_MS / 1000 + 1)
        held = list(self._hand.held.values())
        tasks = [one.task for one in held if one.task is not None]
        left_s = began + self._settings.worker.drain_timeout_s - time.monotonic()
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, left_s))
        unfinished = [one.work for one in held if one.task is not None and not one.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._hand.give_back(*unfinished)
                for reader in self._readers:
                    for stream in reader.streams:
                        await leave(self._store, stream, self._handler.group, self._name)
                await self._registration.remove()
        except Exception as error:
            if not (is_unusable(error) or isinstance(error, TimeoutError)):
                raise
            log.warning("left_without_goodbye", why="Redis is away", unfinished=len(unfinished))
            return
        if unfinished:
            log.info("handed_back", count=len(unfinished))


async def _first_of(stop: asyncio.Event, tasks: list["asyncio.Task[None]"]) -> None:
    """Wait until `stop` is set; a background task that ends before is a bug, and raises."""
    await run_until_stopped(stop, asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
    for task in tasks:
        if task.done():
            task.result()
