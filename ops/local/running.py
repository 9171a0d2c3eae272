"""Running asyncio commands: signals, one store, and clean ends."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NoReturn

import structlog
from redis.exceptions import RedisClusterException, RedisError

from common.errors import RedisUnusable
from common.redis.connection import check_server, connect, is_away, sentence
from common.redis.link import Link
from common.redis.store import Store
from common.settings import Settings
from common.telemetry import metrics
from common.telemetry.logs import let_go
from common.telemetry.spans import spans_of
from common.telemetry.tracing import OFF, Recorder
from common.telemetry.turn_changes import Mark
from ops.local.process_exit import INTERRUPTED, end_now

HANGUP: Final = getattr(signal, "SIGHUP", None)  # None on Windows

log = structlog.get_logger(__name__)


def run_role(role: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a role until it ends; SIGTERM or Ctrl+C asks it to, a second one ends it now.

    So does the closing of its terminal, which a shell and the kernel may both tell: once.
    """

    async def until_signal() -> None:
        stop = asyncio.Event()

        def asked(number: int) -> None:
            if number == HANGUP:
                _let_go_of_closed_terminal()
                if stop.is_set():
                    return
            if stop.is_set():
                end_now(INTERRUPTED)
            stop.set()  # first: whatever becomes of the line below, the role ends
            log.info("stopping", signal=signal.Signals(number).name, again="exits now")

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked, number)
        # nohup ignores it
        if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
            loop.add_signal_handler(HANGUP, asked, HANGUP)
        await role(stop)

    asyncio.run(until_signal())


def _let_go_of_closed_terminal() -> None:
    """What keeps a terminal up to date must not fail for want of it."""
    for stream in (sys.stdout, sys.stderr):
        watch = select.poll()
        watch.register(stream.fileno(), 0)  # that it is gone is told without being asked for
        if watch.poll(0):
            let_go(stream.fileno())


def exit_now() -> NoReturn:
    """End the process without joining threads: a model half fetched, or a transcription that
    outlasted its claim, must not hold up a worker that has left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@asynccontextmanager
async def opened(settings: Settings, traces: Recorder = OFF) -> AsyncIterator[Store]:
    """A store whose connections are closed at the end; what it does to turns is counted."""

    def listener(marks: Sequence[Mark]) -> None:
        metrics.count(marks)
        if traces.is_on:
            traces.record(spans_of(marks))

    store = Store(connect(settings.redis), settings.shards, settings.limits, listener)
    try:
        yield store
    finally:
        with suppress(RedisError, RedisClusterException, OSError):
            await store.redis.aclose()


@asynccontextmanager
async def reachable(settings: Settings) -> AsyncIterator[Store]:
    """A store for a short command: raises RedisUnusable at once when Redis is away."""
    async with opened(settings) as store:
        try:
            await check_server(store.redis, settings.redis, settings.shards)
        except (RedisError, RedisClusterException, OSError) as error:
            raise RedisUnusable(sentence(error, settings.redis)) from None
        try:
            yield store
        # an OSError is the command's own: its output's reader has gone, or its disk is full
        except (RedisError, RedisClusterException) as error:
            raise RedisUnusable(sentence(error, settings.redis)) from None


async def unless(stop: asyncio.Event, work: Awaitable[object]) -> None:
    """Until it is done, or `stop` is set; raises what it raises."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        task.cancel()
        stopping.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


def link_of(store: Store, settings: Settings) -> Link:
    return Link(store.redis, settings.redis, max_pause_s=settings.worker.backoff_max_s)


async def meet(link: Link, store: Store, settings: Settings) -> None:
    """Wait for Redis and check it; raises RedisUnusable when waiting cannot help."""
    while True:
        try:
            await link.call(check_server, store.redis, settings.redis, settings.shards)
            return
        except Exception as error:
            if not is_away(error):
                raise
        await link.pause()
