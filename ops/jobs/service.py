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
    """Run jobs until `stop` is set. Unfinished jobs then go back into their queues.

    Raises RedisUnusable or BadSetting if waiting cannot help.
    """
    connect(settings)  # raises BadSetting for a Cluster, before anything is started
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
            schedule = Schedule(settings, store, link, connect(settings))
            connection = connect(settings)

            async def explain_not_ready() -> str:
                return (
                    link.unreachable
                    or schedule.trouble
                    or await asyncio.to_thread(_find_queue_without_worker, connection, settings)
                )

            running = asyncio.create_task(schedule.run(), name="schedule")
            logging = asyncio.create_task(
                _log_when_ready(explain_not_ready, settings), name="ready"
            )
            try:
                async with serve_monitoring(settings.metrics, ready=explain_not_ready):
                    await run_until_stopped(stop, running)
            finally:
                running.cancel()
                logging.cancel()
                await asyncio.gather(running, logging, return_exceptions=True)
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


async def _log_when_ready(
    explain_not_ready: Callable[[], Awaitable[str]], settings: Settings
) -> None:
    while await explain_not_ready():  # noqa: ASYNC110  # the workers are other processes
        await asyncio.sleep(CHECK_S)
    log.info(
        "ready",
        role="jobs",
        recordings=settings.jobs.recordings,
        folder=str(settings.jobs.folder_path()),
    )


def _find_queue_without_worker(connection: "Redis", settings: Settings) -> str:
    """Name a queue without a live worker, in a sentence; return nothing if each has one."""
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
