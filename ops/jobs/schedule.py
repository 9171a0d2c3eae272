"""The schedule: it enqueues sweeps, jobs whose time has come, and summaries.

RQ's own cron is not used, because its serializer is pickle. Several hosts may run the schedule. The
id of a scheduled job holds the time when it is due. So the first host enqueues it, and the others
find it in the queue. A wall clock that is set back names times whose sweeps are known already. Then
the time that passes counts.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings import Settings
from ops.jobs.connection import explain_error
from ops.jobs.conversation_end import EndDetector, EndedConversation
from ops.jobs.queues import ENDED, RECORDINGS, UPKEEP, enqueue, find_job, make_job_id, open_queue
from ops.queries.since import find_start
from producer.shipping.outbox_metrics import OUTBOX_DROPPED

TICK_S: Final = 1.0
LATE: Final = 1.5
"""If the wall clock names no new time for so many times `sweep_every_s`, it was set back."""

LOOK_BACK: Final = 4
"""How far back to read at the start, as a multiple of `summary_quiet_s`."""

log = structlog.get_logger(__name__)


class Schedule:
    """The schedule of one host. `trouble` says why it waits, and is empty otherwise."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        link: Link,
        connection: "Redis",
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._link = link
        self._connection = connection
        self._wall = wall
        self._clock = clock
        self._last_sweep = -1
        self._last_sweep_s = 0.0
        self._uncounted: set[str] = set()
        self.trouble = ""
        self._end_detector = EndDetector(1000 * settings.jobs.summary_quiet_s)
        self._scheduler = RQScheduler(
            [RECORDINGS, UPKEEP], connection, logging_level="ERROR", serializer=JSONSerializer
        )

    async def run(self) -> None:
        """Run until cancelled."""
        tasks = [self._tick_forever()]
        if self._settings.jobs.summaries:
            tasks += [self._follow_results(), self._summarise()]
        await asyncio.gather(*tasks)

    async def _tick_forever(self) -> None:
        redis: Any = self._store.redis
        while True:
            # without summaries nothing else calls the link, which notices that Redis is away
            await self._link.retry_until_answered(redis.time)
            await self._tick_and_report()
            await asyncio.sleep(TICK_S)

    async def _tick_and_report(self) -> None:
        """Tick. A failure is logged once, until its reason changes."""
        before, now = self.trouble, ""
        try:
            await asyncio.to_thread(self.tick)
        except (RedisError, OSError) as error:
            now = explain_error(error, self._settings)
            if now != before:
                log.warning("schedule_waits", why=now)
        except Exception as error:  # bad data in a shared Redis must not end the schedule
            now = f"the schedule fails: {error!r}"
            if now != before:
                log.exception("schedule_failed")
        if before and not now:
            log.info("schedule_goes_on")
        self.trouble = now

    def tick(self) -> None:
        """Enqueue the jobs that are due. It blocks. Raises RedisError while RQ's Redis is away."""
        due = self._next_sweep()
        if due > self._last_sweep:
            if self._enqueue("sweep", f"sweep-{due}", {}):
                self._uncounted.add(f"sweep-{due}")
            self._last_sweep, self._last_sweep_s = due, self._clock()
        for sweep in tuple(self._uncounted):
            self._count_dropped(sweep)
        self._drop_unreadable()
        self._scheduler.acquire_locks()  # type: ignore[no-untyped-call]  # RQ's
        self._scheduler.enqueue_scheduled_jobs()  # type: ignore[no-untyped-call]  # RQ's

    def _next_sweep(self) -> int:
        """Return the number of the sweep that is due; the number of the last one if none is."""
        every_s = self._settings.jobs.sweep_every_s
        number = int(self._wall() // every_s)
        if self._last_sweep < 0:
            # sweeps of later times are known: the clock was set back while no schedule ran
            while find_job(self._connection, f"sweep-{number + 1}") is not None:
                number += 1
        elif number <= self._last_sweep:
            is_late = self._clock() - self._last_sweep_s >= LATE * every_s
            return self._last_sweep + is_late
        return number

    def _drop_unreadable(self) -> None:
        """Drop due jobs that RQ cannot read: one of them would hold up all others."""
        for name in (RECORDINGS, UPKEEP):
            registry = open_queue(name, self._connection).scheduled_job_registry
            for identity in registry.get_jobs_to_schedule():
                if find_job(self._connection, identity) is None:
                    registry.remove(identity)

    def _count_dropped(self, sweep: str) -> None:
        """Count what a sweep has dropped, when it has ended: its own process serves no metrics."""
        job = find_job(self._connection, sweep)
        if job is None or job.get_status(refresh=False) in ENDED:
            self._uncounted.remove(sweep)
            result = None if job is None else job.return_value()
            OUTBOX_DROPPED.inc(result["outbox_rows"] if result else 0)

    def _enqueue(self, kind: str, identity: str, arguments: Mapping[str, Any]) -> bool:
        """Enqueue a job, unless it is known already; return whether it is new."""
        jobs = self._settings.jobs
        _, is_new = enqueue(self._connection, jobs, kind, identity, arguments, again="never")
        return is_new

    async def _follow_results(self) -> None:
        """Read every event, beginning early enough for all conversations that are still open."""
        age_s = LOOK_BACK * self._settings.jobs.summary_quiet_s
        since = await find_start(self._store, self._link, age_s)
        subscriber = Subscriber(self._store, self._link, since=since, deltas=False)
        async with aclosing(subscriber.events()) as events:
            async for received in events:
                self._end_detector.note(received.event)

    async def _summarise(self) -> None:
        """Enqueue a summary of each conversation that has ended."""
        redis: Any = self._store.redis
        ended: list[EndedConversation] = []
        while True:
            seconds, _ = await self._link.retry_until_answered(redis.time)
            ended += self._end_detector.take_ended(1000 * seconds)
            try:
                while ended:
                    conversation = ended[0]
                    identity = make_job_id("summary", *conversation)
                    arguments = conversation._asdict()
                    await asyncio.to_thread(self._enqueue, "summary", identity, arguments)
                    ended.pop(0)
            except (RedisError, OSError) as error:
                log.debug("summaries_wait", why=str(error))
            await asyncio.sleep(TICK_S)
