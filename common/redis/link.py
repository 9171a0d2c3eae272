"""The state of the connection to Redis, logged once per change, and the pauses between tries."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

import structlog
from redis.asyncio import Redis
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

log = structlog.get_logger(__name__)


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class Link:
    """Whether Redis can be reached, as a process learns from its commands."""

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
        self._trouble = Latch("")
        self._back = asyncio.Event()
        self.why = ""
        self.outages = 0

    @property
    def is_up(self) -> bool:
        return self._up_since is not None

    @property
    def unreachable(self) -> str:
        """The reason why Redis is away, as a sentence. Empty while it is there."""
        return "" if self.is_up else self.why or "Redis has not been reached yet"

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
            if is_unusable(error):
                await self._failed(error)
            if _cancellations() > cancellations:
                raise asyncio.CancelledError from error
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
        if self._up_since is not None:
            return
        if self._away_since is not None and started < self._away_since:
            return  # an answer from before the failure proves nothing
        REDIS_UP.set(1)
        if self._away_since is not None:
            REDIS_RECONNECTS.inc()
            log.info("redis_is_back", away_s=round(self._clock() - self._away_since, 1))
        self._up_since, self._away_since = self._clock(), None
        self._back.set()
        self._trouble.change_to("")
        self.why = ""

    async def _failed(self, error: Exception) -> None:
        # logged once per outage, and again when it turns out that only a person can end it
        trouble = "redis_refuses" if is_hopeless(error) else "redis_is_away"
        if self._trouble.change_to(trouble):
            self.why = explain_failure(error, self._settings)
            log.warning(trouble, why=self.why)
        if self._away_since is None:
            self._away_since = self._clock()
            self.outages += 1
        self._up_since = None
        REDIS_UP.set(0)
        self._back.clear()
        if isinstance(error, ResponseError) and isinstance(self.redis, Redis):
            # the server answers but cannot serve, as a former master does: connect anew next time
            await self.redis.connection_pool.disconnect(inuse_connections=False)
