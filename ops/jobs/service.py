"""`earshot jobs`: RQ workers as child processes, and the schedule."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from common.errors import BadSetting
from common.redis.opening import make_link, open_store, wait_for_redis
from common.settings import Settings
from common.settings.loading import variable_of
from common.stopping import run_until_stopped
from common.telemetry.monitoring import serve_monitoring
from ops.jobs.connection import connect, explain_error, open_connection
from ops.jobs.queues import RECORDINGS, UPKEEP, has_worker
from ops.jobs.schedule import Schedule
from ops.local.supervisor import Supervisor, role_environment

CHECK_S: Final = 1.0

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run jobs until `stop`; unfinished jobs then go back into their queues.

    Raises RedisUnusable or BadSetting if waiting cannot help.
    """
    connect(settings)  # first: it raises BadSetting for a Cluster
    _make_default_folder(settings)
    async with open_store(settings) as store:
        link = make_link(store, settings)
        await run_until_stopped(stop, wait_for_redis(link, store, settings))
        if stop.is_set():
            return
        await asyncio.to_thread(_check_redis, settings)
        async with Supervisor(_print_to_stderr) as supervisor:
            variables = role_environment(settings)
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
                    or await asyncio.to_thread(_find_unattended_queue, asking, settings)
                )

            schedule = asyncio.create_task(planned.run(), name="schedule")
            telling = asyncio.create_task(_log_when_ready(unready, settings), name="ready")
            try:
                async with serve_monitoring(settings.metrics, ready=unready):
                    await run_until_stopped(stop, schedule)
            finally:
                schedule.cancel()
                telling.cancel()
                await asyncio.gather(schedule, telling, return_exceptions=True)
    log.info("left")


def _make_default_folder(settings: Settings) -> None:
    """Make the folder of the jobs if nobody has chosen one: people shall find where to put files.

    Raises BadSetting if it cannot be made.
    """
    if settings.jobs.folder:
        return
    folder = settings.jobs.folder_path()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(
            f"the folder of the jobs, {folder}, cannot be made ({error.strerror}):"
            f" set {variable_of('jobs.folder')}"
        ) from None


def _check_redis(settings: Settings) -> None:
    with open_connection(settings):
        pass


async def _log_when_ready(unready: Callable[[], Awaitable[str]], settings: Settings) -> None:
    while await unready():  # noqa: ASYNC110  # the workers are other processes
        await asyncio.sleep(CHECK_S)
    log.info(
        "ready",
        role="jobs",
        recordings=settings.jobs.recordings,
        folder=str(settings.jobs.folder_path()),
    )


def _find_unattended_queue(connection: "Redis", settings: Settings) -> str:
    """Name a queue without a live worker, in a sentence; empty if each queue has one."""
    queues = {"sweep": UPKEEP} | ({"transcribe": RECORDINGS} if settings.jobs.recordings else {})
    try:
        for kind, name in queues.items():
            if not has_worker(kind, connection):
                return f"the queue {name} has no live worker"
    except (RedisError, OSError) as error:
        return explain_error(error, settings)
    return ""


def _print_to_stderr(_name: str, line: str) -> None:
    print(line, file=sys.stderr, flush=True)
