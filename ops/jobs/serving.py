"""`earshot jobs`: the RQ workers as processes that are started again, and the schedule."""

import asyncio
import sys
from typing import Final

import structlog

from common.monitoring import monitored
from common.settings import Settings
from ops.jobs.connection import connect, reached
from ops.jobs.queues import RECORDINGS, UPKEEP
from ops.jobs.schedule import Schedule
from ops.processes.supervisor import Supervisor, role_environment
from ops.running import link_of, meet, opened, unless

LOOK_S: Final = 1.0

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Until `stop`: what is in work then goes back into its queue.

    Raises RedisUnusable or BadSetting when waiting cannot help.
    """
    connect(settings)  # first, since a Cluster is for a person to mend
    async with opened(settings) as store:
        link = link_of(store, settings)
        await unless(stop, meet(link, store, settings))
        if stop.is_set():
            return
        await asyncio.to_thread(_check, settings)
        async with Supervisor(_pass_on) as supervisor:
            variables = role_environment(settings)
            names = [UPKEEP, *[RECORDINGS] * settings.jobs.recordings]
            for number, queue in enumerate(names):
                argv = [sys.executable, "-P", "-m", "ops.jobs.worker", queue]
                await supervisor.spawn(f"{queue}-{number}", argv, variables)
            log.info("ready", role="jobs", recordings=settings.jobs.recordings)

            async def unready() -> str:
                return link.unreachable

            schedule = asyncio.create_task(
                Schedule(settings, store, link, connect(settings)).run(), name="schedule"
            )
            try:
                async with monitored(settings.metrics, ready=unready):
                    await unless(stop, schedule)
            finally:
                schedule.cancel()
                await asyncio.gather(schedule, return_exceptions=True)
    log.info("left")


def _check(settings: Settings) -> None:
    with reached(settings):
        pass


def _pass_on(_name: str, line: str) -> None:
    print(line, file=sys.stderr, flush=True)
