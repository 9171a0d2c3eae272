"""How a process opens Redis: a store that counts turn changes, a link, and waiting for Redis."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from common.errors import RedisUnusable
from common.redis.client import connect
from common.redis.failures import explain_failure, is_away, is_hopeless
from common.redis.link import Link
from common.redis.server import check_server
from common.redis.store import Store
from common.settings import Settings
from common.telemetry import metrics
from common.telemetry.spans import make_spans
from common.telemetry.tracing import OFF, Recorder
from common.telemetry.turn_changes import TurnChange


@asynccontextmanager
async def open_store(settings: Settings, traces: Recorder = OFF) -> AsyncIterator[Store]:
    """Open a store, close its connections at the end, and count what it does to turns."""

    def listener(changes: Sequence[TurnChange]) -> None:
        metrics.count_changes(changes)
        if traces.is_on:
            traces.record(make_spans(changes))

    store = Store(connect(settings.redis), settings.shards, settings.limits, listener)
    try:
        yield store
    finally:
        with suppress(RedisError, RedisClusterException, OSError):
            await store.redis.aclose()


@asynccontextmanager
async def open_reachable_store(settings: Settings) -> AsyncIterator[Store]:
    """Open a store for a short command. Raises RedisUnusable at once when Redis is away."""
    async with open_store(settings) as store:
        try:
            await check_server(store.redis, settings.redis, settings.shards)
        except (RedisError, RedisClusterException, OSError) as error:
            raise RedisUnusable(explain_failure(error, settings.redis)) from None
        try:
            yield store
        # no OSError: that one is the command's, for a closed pipe or a full disk
        except (RedisError, RedisClusterException) as error:
            raise RedisUnusable(explain_failure(error, settings.redis)) from None


def make_link(store: Store, settings: Settings) -> Link:
    """Make the link of a process, which waits at most `worker.backoff_max_s` between two tries."""
    return Link(store.redis, settings.redis, max_pause_s=settings.worker.backoff_max_s)


async def wait_for_redis(
    link: Link,
    store: Store,
    settings: Settings,
    prepare: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Wait until Redis is there, check it, and `prepare` what the caller needs in it.

    Raises RedisUnusable when waiting cannot help.
    """
    while not await try_redis(link, store, settings, prepare):
        await link.pause()


async def try_redis(
    link: Link,
    store: Store,
    settings: Settings,
    prepare: Callable[[], Awaitable[object]] | None = None,
) -> bool:
    """Check and `prepare` Redis once; return False while it is away.

    Raises RedisUnusable when waiting cannot help. `prepare` may run several times; it sends its
    commands through the link.
    """
    try:
        await link.call(check_server, store.redis, settings.redis, settings.shards)
        if prepare is not None:
            await prepare()
    except Exception as error:
        if is_away(error):
            return False
        # an error reply, for example because a foreign key is where a stream should be
        if is_hopeless(error) or isinstance(error, ResponseError):
            raise RedisUnusable(explain_failure(error, settings.redis)) from None
        raise
    return True
