"""`earshot jobs`: the RQ workers as processes that are started again, and the schedule."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from common.configuration import environment, inherited
from common.monitoring import monitored
from common.settings import Settings
from ops.jobs.connection import check, connect, why
from ops.jobs.queues import RECORDINGS, UPKEEP, has_worker
from ops.jobs.schedule import Schedule
from ops.running import link_of, meet, opened
from ops.supervisor import Supervisor

LOOK_S: Final = 1.0

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Until `stop`: what is in work then goes back into its queue.

    Raises RedisUnusable or BadSetting when waiting cannot help.
    """
    connection = connect(settings)  # first, since a Cluster is for a person to mend
    async with opened(settings) as store:
        link = link_of(store, settings)
        await _unless(stop, meet(link, store, settings))
        if stop.is_set():
            return
        await asyncio.to_thread(check, connection, settings)
        async with Supervisor(_pass_on) as supervisor:
            variables = inherited() | environment(settings) | _log_format(settings)
            names = [UPKEEP, *[RECORDINGS] * settings.jobs.recordings]
            for number, queue in enumerate(names):
                argv = [sys.executable, "-P", "-m", "ops.jobs.worker", queue]
                await supervisor.spawn(f"{queue}-{number}", argv, variables)
            planned = Schedule(settings, store, link, connect(settings))
            asking = connect(settings)

            async def unready() -> str:
                return (
                    link.unreachable
                    or planned.trouble
                    or await asyncio.to_thread(_workerless, asking, settings)
                )

            schedule = asyncio.create_task(planned.run(), name="schedule")
            telling = asyncio.create_task(_tell_ready(unready, settings), name="ready")
            try:
                async with monitored(settings.metrics, ready=unready):
                    await _unless(stop, schedule)
            finally:
                schedule.cancel()
                telling.cancel()
                await asyncio.gather(schedule, telling, return_exceptions=True)
    log.info("left")


async def _tell_ready(unready: Callable[[], Awaitable[str]], settings: Settings) -> None:
    while await unready():  # noqa: ASYNC110  # the workers are other processes
        await asyncio.sleep(LOOK_S)
    log.info("ready", role="jobs", recordings=settings.jobs.recordings)


def _workerless(connection: "Redis", settings: Settings) -> str:
    """Which queue no worker looks after, in a sentence; empty if each has one."""
    queues = {"sweep": UPKEEP} | ({"transcribe": RECORDINGS} if settings.jobs.recordings else {})
    try:
        for kind, name in queues.items():
            if not has_worker(kind, connection):
                return f"no worker of the queue {name} gives a sign of life"
    except (RedisError, OSError) as error:
        return why(error, settings)
    return ""


async def _unless(stop: asyncio.Event, work: Any) -> None:
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


def _pass_on(_name: str, line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _log_format(settings: Settings) -> dict[str, str]:
    """The workers write into a pipe, and for whom this process writes for."""
    if settings.log.format != "auto":
        return {}
    return {"EARSHOT_LOG__FORMAT": "console" if sys.stderr.isatty() else "json"}
