"""The state of the connection to Redis, logged once per change, and the pauses between tries."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

from common.backoff import jitter
from common.latch import Latch
from common.redis.client import AnyRedis
from common.redis.failures import explain_failure, is_hopeless, is_unusable
from common.settings import RedisSettings
from common.telemetry.metrics import REDIS_RECONNECTS, REDIS_UP

Answer = TypeVar("Answer")
P = ParamSpec("P")

FIRST_PAUSE_S: Final = 0.1

SETTLED_S: Final = 1.0
"""A part of a cluster that is back is reported when it has answered for so long (s).

A master that was cut off may answer at first, and then say that the cluster is down: it has to find
the other masters."""

log = structlog.get_logger(__name__)


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class Link:
    """Whether Redis can be reached, as a process learns from its commands.

    The masters of a Redis Cluster are away one by one. So there each part of the keys has a link of
    its own (`part`). Once a part was used, the link to the whole is up as long as any part is.
    """

    def __init__(
        self,
        redis: AnyRedis,
        settings: RedisSettings,
        *,
        max_pause_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.redis = redis
        self._settings = settings
        self._max_pause_s = max_pause_s
        self._clock = clock
        self._up_since: float | None = None
        self._away_since: float | None = None
        self._reported_since: float | None = None
        self._settled_s = 0.0
        self._trouble = Latch("")
        self._back = asyncio.Event()
        self._name: Mapping[str, str | int] = {}
        self._whole: Link = self
        self._parts: dict[str | int, Link] = {}
        self.why = ""
        self.outages = 0

    def part(self, name: str | int) -> "Link":
        """Return the link to a part of the keys: to a shard, by its number, or others, by a name.

        One server is there or away as a whole: then it is this link.
        """
        if not isinstance(self.redis, RedisCluster):
            return self
        if name not in self._parts:
            part = self._parts[name] = Link(
                self.redis, self._settings, max_pause_s=self._max_pause_s, clock=self._clock
            )
            part._name = {"shard" if isinstance(name, int) else "part": name}
            part._whole, part._settled_s = self, SETTLED_S
        return self._parts[name]

    @property
    def is_up(self) -> bool:
        parts = [part for part in self._parts.values() if part._was_used]
        return any(part.is_up for part in parts) if parts else self._up_since is not None

    @property
    def is_away(self) -> bool:
        """Whether the last command failed. Not the contrary of `is_up` before the first command."""
        return self._away_since is not None

    @property
    def _was_used(self) -> bool:
        return self._up_since is not None or self._away_since is not None

    @property
    def unreachable(self) -> str:
        """The reason why Redis is away, as a sentence. Empty while it is there."""
        if self.is_up:
            return ""
        reasons = filter(None, (link.why for link in (*self._parts.values(), self)))
        return next(reasons, "Redis has not been reached yet")

    @property
    def unbroken_s(self) -> float:
        """How long the connection has held without a failure; 0 while it is away."""
        return 0.0 if self._up_since is None else self._clock() - self._up_since

    async def call(
        self, command: Callable[P, Awaitable[Answer]], *args: P.args, **kwargs: P.kwargs
    ) -> Answer:
        """Run one command and note whether Redis answered. Every error passes on.

        No cancellation is lost: redis-py writes inside `asyncio.wait_for`, which up to Python 3.11
        forgets a cancellation that comes just when the write is done.
        """
        started, cancellations = self._clock(), _cancellations()
        try:
            answer = await command(*args, **kwargs)
        except Exception as error:
            if _cancellations() > cancellations:
                # whoever cancelled it may have closed the connection as well: this proves nothing
                raise asyncio.CancelledError from error
            if is_unusable(error):
                await self._failed(error)
            raise
        self._succeeded(started)
        if _cancellations() > cancellations:
            raise asyncio.CancelledError
        return answer

    async def retry_until_answered(
        self, command: Callable[P, Awaitable[Answer]], *args: P.args, **kwargs: P.kwargs
    ) -> Answer:
        """Run a command again and again until Redis answers. The command must be safe to repeat."""
        while True:
            try:
                return await self.call(command, *args, **kwargs)
            except Exception as error:
                if not is_unusable(error):
                    raise
            await self.pause()

    async def pause(self) -> None:
        """Wait before the next try: as long as Redis has been away, up to a limit, with jitter.

        Return at once when another task finds that Redis is back.
        """
        away_s = 0.0 if self._away_since is None else self._clock() - self._away_since
        pause_s = jitter(min(max(away_s, FIRST_PAUSE_S), self._max_pause_s))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._back.wait()
                # no busy loop if the server answers some commands and fails others
                await asyncio.sleep(FIRST_PAUSE_S)

    def _succeeded(self, started: float) -> None:
        if self._up_since is None:
            if self._away_since is not None and started < self._away_since:
                return  # an answer from before the failure proves nothing
            self._up_since, self._away_since = self._clock(), None
            self.why = ""
            self._whole._show()
            self._back.set()
        if self._reported_since is not None and self.unbroken_s >= self._settled_s:
            REDIS_RECONNECTS.inc()
            away_s = round(self._up_since - self._reported_since, 1)
            log.info("redis_is_back", away_s=away_s, **self._name)
            self._reported_since = None
            self._trouble.change_to("")

    async def _failed(self, error: Exception) -> None:
        # logged once per outage, and again when it turns out that only a person can end it
        trouble = "redis_refuses" if is_hopeless(error) else "redis_is_away"
        is_new = self._trouble.change_to(trouble)
        if is_new or not self.why:
            self.why = explain_failure(error, self._settings)
        if is_new:
            log.warning(trouble, why=self.why, **self._name)
        if self._reported_since is None:
            self._reported_since = self._clock()
        if self._away_since is None:
            self._away_since = self._clock()
            self.outages += 1
        self._up_since = None
        self._whole._show()
        self._back.clear()
        if isinstance(error, ResponseError) and isinstance(self.redis, Redis):
            # the server answers but cannot serve, as a former master does: connect anew next time
            await self.redis.connection_pool.disconnect(inuse_connections=False)

    def _show(self) -> None:
        """Set the metric: 0 while Redis or any part of it is away."""
        is_away = any(link._away_since is not None for link in (self, *self._parts.values()))
        REDIS_UP.set(0 if is_away else 1)
