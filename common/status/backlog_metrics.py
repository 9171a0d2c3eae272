"""What waits in Redis, as metrics.

Every worker counts the same Redis, so rules and panels take `max` over the workers, never `sum`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import NoPermissionError

from common.latch import Latch
from common.redis.failures import is_unusable
from common.redis.link import Link
from common.redis.store import Store
from common.status.snapshot import Snapshot, take_snapshot
from common.telemetry.monitoring import run_in_loop

SNAPSHOT_S: Final = 3.0
"""The limit for asking Redis, well under Prometheus' 10 s for a scrape."""

FRESH_S: Final = 2.0
"""Scrapers that come within this time get the same numbers."""

ROLES: Final = ("stt", "llm")

log = structlog.get_logger(__name__)


class BacklogCollector(Collector):
    """Takes a snapshot of Redis at each scrape; without Redis there are no numbers.

    Make it in the event loop that `store` and `link` belong to.
    """

    def __init__(
        self, store: Store, link: Link, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._link = link
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._taken_at = float("-inf")
        self._snapshot: Snapshot | None = None
        self._is_forbidden = Latch(False)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the families without samples."""
        return families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the families with the present numbers. It blocks, so no event loop may call it."""
        if self._clock() - self._taken_at > FRESH_S:
            self._snapshot = self._take()
            self._taken_at = self._clock()
        return families(self._snapshot)

    def _take(self) -> Snapshot | None:
        try:
            return run_in_loop(self._loop, self._ask, SNAPSHOT_S)
        except Exception as error:  # no answer in time looks like a Redis that is away, too
            if not is_unusable(error):
                log.exception("snapshot_failed")
            return None

    async def _ask(self) -> Snapshot | None:
        return await self._link.call(self._try_snapshot)

    async def _try_snapshot(self) -> Snapshot | None:
        """Take a snapshot, or None: a user that may not count can still do its work."""
        try:
            snapshot = await take_snapshot(self._store)
        except NoPermissionError as error:
            if self._is_forbidden.change_to(True):
                log.warning(
                    "backlog_not_permitted", why=str(error), see="ops/deploy/redis/users.acl"
                )
            return None
        self._is_forbidden.change_to(False)
        return snapshot


def families(snapshot: Snapshot | None = None) -> list[GaugeMetricFamily]:
    """Return what a snapshot says as metrics; without one, their names only."""
    waiting = GaugeMetricFamily(
        "earshot_backlog_waiting_entries",
        "Entries that wait for a worker, by `stream`: utterances, recordings, turns.",
        labels=["stream"],
    )
    in_hand = GaugeMetricFamily(
        "earshot_backlog_in_hand_entries",
        "Entries that workers have in hand, by `stream`.",
        labels=["stream"],
    )
    deferred = GaugeMetricFamily(
        "earshot_backlog_deferred_entries",
        "Entries that failed and wait until they may be tried again, by `stream`.",
        labels=["stream"],
    )
    oldest = GaugeMetricFamily(
        "earshot_backlog_oldest_seconds",
        "Age of the oldest entry that is not settled, by `stream`; 0: none.",
        labels=["stream"],
    )
    workers = GaugeMetricFamily(
        "earshot_workers", "Workers that show signs of life, by `role`: stt, llm.", labels=["role"]
    )
    dead = GaugeMetricFamily(
        "earshot_dead_letter_entries", "Dead letters that nobody has replayed or dropped."
    )
    dead_bytes = GaugeMetricFamily(
        "earshot_dead_letter_bytes", "Bytes that the dead letters take, by their fields and values."
    )
    sessions = GaugeMetricFamily("earshot_open_sessions", "Sessions with unfinished turns.")
    set_aside = GaugeMetricFamily(
        "earshot_set_aside_sessions", "Sessions that cannot be tended, because of what is in them."
    )
    if snapshot is not None:
        for stream, stage in snapshot.stages.items():
            waiting.add_metric([stream], stage.waiting)
            in_hand.add_metric([stream], stage.in_hand)
            deferred.add_metric([stream], stage.deferred)
            if stage.oldest_s is not None:
                oldest.add_metric([stream], stage.oldest_s)
        for role in ROLES:
            workers.add_metric([role], sum(worker.role == role for worker in snapshot.workers))
        dead.add_metric([], snapshot.dead_letters)
        dead_bytes.add_metric([], snapshot.dead_letter_bytes)
        sessions.add_metric([], snapshot.open_sessions)
        set_aside.add_metric([], snapshot.set_aside_count)
    return [waiting, in_hand, deferred, oldest, workers, dead, dead_bytes, sessions, set_aside]
