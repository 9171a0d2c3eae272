"""What waits in Redis, as metrics: a property of Redis, which any worker can be asked for.

Every worker answers the same, so rules and panels take `max` over them, never `sum`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import NoPermissionError

from common.redis.connection import is_unusable
from common.redis.link import Link
from common.redis.store import Store
from common.status.snapshot import Census, take_census
from common.telemetry.monitoring import from_thread

CENSUS_S: Final = 3.0
"""For asking Redis, well under Prometheus' 10 s for a scrape."""

FRESH_S: Final = 2.0
"""Several scrapers within so long get the same numbers."""

ROLES: Final = ("stt", "llm")

log = structlog.get_logger(__name__)


class BacklogCollector(Collector):
    """Takes a census of Redis at each scrape; without Redis there are no numbers.

    To be made in the event loop that `store` and `link` belong to.
    """

    def __init__(
        self, store: Store, link: Link, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._link = link
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._taken_at = float("-inf")
        self._census: Census | None = None
        self._refused = False

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without samples."""
        return families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The families with the numbers of now; blocks: not to be called in the event loop."""
        if self._clock() - self._taken_at > FRESH_S:
            self._census = self._take()
            self._taken_at = self._clock()
        return families(self._census)

    def _take(self) -> Census | None:
        try:
            return from_thread(self._loop, self._ask, CENSUS_S)
        except Exception as error:  # no answer in time looks like a Redis that is away, too
            if not is_unusable(error):
                log.exception("census_failed")
            return None

    async def _ask(self) -> Census | None:
        return await self._link.call(self._permitted)

    async def _permitted(self) -> Census | None:
        """A user that may not count can still do its work: no sign that Redis is unusable."""
        try:
            return await take_census(self._store)
        except NoPermissionError as error:
            if not self._refused:
                log.warning(
                    "backlog_not_permitted", why=str(error), see="ops/deploy/redis/users.acl"
                )
            self._refused = True
            return None


def families(census: Census | None = None) -> list[GaugeMetricFamily]:
    """What a census says, as metrics; without one, their names only."""
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
    oldest = GaugeMetricFamily(
        "earshot_backlog_oldest_seconds",
        "Age of the oldest entry that waits or is in hand, by `stream`; 0: none.",
        labels=["stream"],
    )
    workers = GaugeMetricFamily(
        "earshot_workers", "Workers that show signs of life, by `role`: stt, llm.", labels=["role"]
    )
    dead = GaugeMetricFamily(
        "earshot_dead_letter_entries", "Dead letters that nobody has replayed or dropped."
    )
    sessions = GaugeMetricFamily("earshot_open_sessions", "Sessions with unfinished turns.")
    if census is not None:
        for stream, stage in census.stages.items():
            waiting.add_metric([stream], stage.waiting)
            in_hand.add_metric([stream], stage.in_hand)
            if stage.oldest_s is not None:
                oldest.add_metric([stream], stage.oldest_s)
        for role in ROLES:
            workers.add_metric([role], sum(worker["role"] == role for worker in census.workers))
        dead.add_metric([], census.dead_letters)
        sessions.add_metric([], census.open_sessions)
    return [waiting, in_hand, oldest, workers, dead, sessions]
