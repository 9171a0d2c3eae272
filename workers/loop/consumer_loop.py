"""The one consumer loop that STT and LLM workers share.

It reads new entries as long as there is room, takes over those that were handed back or
abandoned, sends heartbeats for the entries in hand, and runs the handler on several at once. On a
stop it drains: it finishes what it can in time, hands back the rest and leaves.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from common.errors import Transient
from common.redis.failures import is_unusable
from common.redis.opening import make_link, try_redis, wait_for_redis
from common.redis.store import Store
from common.settings import Settings
from common.status.backlog_metrics import BacklogCollector
from common.stopping import run_until_stopped
from common.telemetry.monitoring import serve_monitoring
from common.transitions.claims import leave
from workers.loop import metrics
from workers.loop.breaker import Breaker, BreakerState
from workers.loop.caretaker import Caretaker
from workers.loop.delivery_runner import FIRST_RETRY_S, DeliveryRunner, LoopContext
from workers.loop.gate import Gate
from workers.loop.handler import Delivery, Handler
from workers.loop.in_hand import EntriesInHand, EntryInHand
from workers.loop.intake import Intake
from workers.loop.reader import BLOCK_MS, Reader
from workers.loop.registration import Registration

HEARTBEATS_PER_CLAIM: Final = 4
LEAVING_TIMEOUT_S: Final = 3.0

log = structlog.get_logger(__name__)


class ConsumerLoop:
    """One worker process."""

    def __init__(self, store: Store, settings: Settings, handler: Handler, name: str) -> None:
        self._store = store
        self._settings = settings
        self._handler = handler
        self._name = name
        worker = settings.worker
        self._link = make_link(store, settings)
        self._heartbeat_s = worker.claim_idle_s / HEARTBEATS_PER_CLAIM
        self._records_link = self._link.part("worker records")
        self._registration = Registration(
            store.redis, name, handler.role, ttl_s=worker.claim_idle_s * 1.5
        )
        self._in_hand = EntriesInHand(store, self._link, handler.group, name)
        self._gate = Gate()
        self._breaker = Breaker(
            handler.ask_smallest,
            self._server_changed,
            sessions_in_a_row=handler.sessions_in_a_row,
        )
        self._readers = [
            Reader(
                store,
                self._link.part(shard.number),
                shard,
                handler.streams(shard),
                handler.group,
                name,
                claim_idle_s=worker.claim_idle_s,
                grace_s=handler.grace_s,
            )
            for shard in store.all_shards()
        ]
        self._caretaker = Caretaker(
            store,
            self._link,
            name,
            claim_idle_s=worker.claim_idle_s,
            group=handler.group,
            streams=handler.streams,
        )
        self._runner = DeliveryRunner(
            handler, self._in_hand, self._registration, self._breaker, worker
        )
        self._intake = Intake(
            self._readers,
            self._in_hand,
            limit=self._limit,
            begin=self._begin,
            max_pause_s=worker.backoff_max_s,
        )
        metrics.create_series(handler.role)
        metrics.IN_HAND.labels(handler.role).set_function(lambda: len(self._in_hand))
        metrics.BREAKER.labels(handler.role).set_function(self._breaker_level)

    async def explain_not_ready(self) -> str:
        """Return why this worker cannot work now, in a sentence; empty if it can."""
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
        async with serve_monitoring(
            self._settings.metrics,
            ready=self.explain_not_ready,
            collectors=[BacklogCollector(self._store, self._link.part("backlog"))],
        ):
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        background = [asyncio.create_task(self._publish_record(), name="worker record")]
        background += [
            asyncio.create_task(self._send_heartbeats(reader), name="heartbeat")
            for reader in self._readers
        ]
        intake: list[asyncio.Task[None]] = []
        try:
            if await run_until_stopped(stop, self._get_ready()):
                log.info("ready", role=self._handler.role)
                background += [
                    asyncio.create_task(self._breaker.run(), name="breaker"),
                    asyncio.create_task(self._caretaker.run(), name="caretaker"),
                ]
                intake += [
                    asyncio.create_task(task, name="intake") for task in self._intake.tasks()
                ]
                await _wait_for_stop(stop, [*background, *intake])
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
        is_there = await try_redis(*redis)
        await self._handler.start(LoopContext(self._link, self._registration, self._breaker))
        if not is_there:
            await wait_for_redis(*redis)
        try:
            # tell at once, not only at the first turn, that the server is unusable
            await self._handler.probe()
        except Transient as error:
            self._breaker.open(str(error))
        else:
            self._registration.update(state="ready")

    async def _prepare_redis(self) -> None:
        """Make the groups of the shards that are there, and publish the record.

        Raises if no shard is there. Groups of a shard that is away are made when it is back and a
        read finds them missing.
        """
        *groups, record = await asyncio.gather(
            *(reader.make_groups() for reader in self._readers),
            self._records_link.call(self._registration.publish),
            return_exceptions=True,
        )
        errors = [outcome for outcome in groups if isinstance(outcome, BaseException)]
        for error in [*errors, record]:
            if isinstance(error, BaseException) and (
                len(errors) == len(groups) or not is_unusable(error)
            ):
                raise error

    # -- working on entries

    def _limit(self) -> int:
        """Return how many entries may be in hand now."""
        return self._breaker.limit(self._handler.concurrency)

    def _begin(self, reader: Reader, entry: EntryInHand) -> None:
        name = f"work {self._name} {entry.delivery.claim.entry}"
        entry.task = asyncio.create_task(self._work(reader, entry), name=name)

    async def _work(self, reader: Reader, entry: EntryInHand) -> None:
        delivery = entry.delivery
        structlog.contextvars.bind_contextvars(stage=self._handler.role, entry=delivery.claim.entry)
        try:
            async with self._gate.exclusive() if entry.exclusive else self._gate.shared():
                await self._runner.run(reader, entry)
        except asyncio.CancelledError:
            if not entry.lost:
                raise
        except Exception:
            log.exception("work_failed")  # the entry stays pending, to be taken over
        finally:
            self._in_hand.remove(entry)
            self._intake.recheck_room()

    def _breaker_level(self) -> int:
        return (BreakerState.CLOSED, BreakerState.TRIAL, BreakerState.OPEN).index(
            self._breaker.state
        )

    def _server_changed(self, why: str | None) -> None:
        if self._registration.record.state != "draining":
            self._registration.update(state="waiting" if why else "ready", waits_for=why)
        self._intake.recheck_room()

    # -- heartbeats and leaving

    async def _send_heartbeats(self, reader: Reader) -> None:
        """Send heartbeats for the entries in hand of one shard.

        Each shard has its own: while one does not answer, the claims of the others must not pass.
        """
        while True:
            try:
                await self._in_hand.send_heartbeats(reader.shard)
            except Exception as error:
                if is_unusable(error):
                    await reader.link.pause()
                    continue
                log.exception("heartbeat_failed", shard=reader.shard.number)
            await asyncio.sleep(self._heartbeat_s)

    async def _publish_record(self) -> None:
        """Publish the worker's state at each change, and before its record expires."""
        while True:
            self._registration.update(in_hand=len(self._in_hand))
            self._registration.changed.clear()
            try:
                await self._records_link.call(self._registration.publish)
            except Exception as error:
                if is_unusable(error):
                    await self._records_link.pause()
                    continue
                log.exception("record_not_published")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat_s):
                    await self._registration.changed.wait()

    async def _drain(self, intake: list["asyncio.Task[None]"]) -> None:
        """Take nothing more, finish the entries in hand, hand back the rest, and leave."""
        self._intake.stop()
        self._registration.update(state="draining")
        log.info("draining", in_hand=len(self._in_hand))
        began = time.monotonic()
        if intake:
            # a blocked read must end by itself: cancelled, it could lose the entry that it has read
            await asyncio.wait(intake, timeout=BLOCK_MS / 1000 + 1)
        working = [(entry, entry.task) for entry in self._in_hand if entry.task is not None]
        tasks = [task for _, task in working]
        left_s = began + self._settings.worker.drain_timeout_s - time.monotonic()
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, left_s))
        unfinished = [entry.delivery for entry, task in working if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not await self._say_goodbye(unfinished):
            log.warning("left_without_goodbye", why="Redis is away", unfinished=len(unfinished))
        elif unfinished:
            log.info("handed_back", count=len(unfinished))

    async def _say_goodbye(self, unfinished: Sequence[Delivery]) -> bool:
        """Hand back what is unfinished and leave, at each shard by itself; return whether all went.

        A shard that does not answer in time is left as by a killed process.
        """
        goodbyes = [
            asyncio.create_task(self._leave(reader, unfinished)) for reader in self._readers
        ]
        goodbyes.append(asyncio.create_task(self._registration.remove()))
        _, late = await asyncio.wait(goodbyes, timeout=LEAVING_TIMEOUT_S)
        for task in late:
            task.cancel()
        outcomes = await asyncio.gather(*goodbyes, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        for error in errors:
            if not is_unusable(error):
                raise error
        return not late and not errors

    async def _leave(self, reader: Reader, unfinished: Sequence[Delivery]) -> None:
        here = [delivery for delivery in unfinished if delivery.claim.shard == reader.shard]
        failed = [delivery for delivery in here if delivery.kind == "deferred"]
        await self._in_hand.hand_back(*(one for one in here if one not in failed))
        await self._in_hand.hand_back(*failed, pause_s=FIRST_RETRY_S)
        for stream in reader.streams:
            await leave(self._store, stream, self._handler.group, self._name)


async def _wait_for_stop(stop: asyncio.Event, tasks: list["asyncio.Task[None]"]) -> None:
    """Wait until `stop` is set. A task that ends before is a bug: raises its error."""
    await run_until_stopped(stop, asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
    for task in tasks:
        if task.done():
            task.result()
