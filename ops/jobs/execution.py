"""Running one job in its process: settings, Redis, progress and errors."""

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.exceptions import RedisError
from rq.job import Job

from common.errors import EarshotError, Transient
from common.extras import how_to_install
from common.redis.link import Link
from common.redis.opening import make_link, open_store
from common.redis.store import Store
from common.settings import Settings
from common.settings.loading import load_settings

SAVE_EVERY_S: Final = 0.5
RETRY_AFTER_S: Final = 30
"""A job runs again after this time if a server that it needs was away."""

log = structlog.get_logger(__name__)


class JobFailed(Exception):
    """The job failed; the message is for the person who asked for it."""


@dataclass(slots=True)
class JobContext:
    """What a job needs. `job` is its id; `earshot jobs list` shows its `progress`."""

    settings: Settings
    store: Store
    link: Link
    job: str
    progress: dict[str, Any] = field(default_factory=dict)

    def report(self, **values: Any) -> None:
        """Report progress. The values must fit into JSON; `text` is shown as it is."""
        self.progress |= values


Run = Callable[[JobContext, Mapping[str, Any]], Awaitable[Any]]


def run_job(job: Job, module: str, arguments: Mapping[str, Any]) -> Any:
    """Run a job of the registry, and return its result (JSON).

    If a server is away, the job runs again later. Other errors that earshot can explain end the
    job. After any other error RQ runs the job again, as often as the settings say.
    """
    structlog.contextvars.bind_contextvars(job=job.id)
    began = time.monotonic()
    if job.meta.get("progress", {}).pop("waits_for", ""):  # left by an earlier try
        job.save_meta()  # type: ignore[no-untyped-call]  # RQ's
    try:
        result = asyncio.run(_run(job, module, arguments))
    except Transient as error:
        job.retries_left = (job.retries_left or 0) + 1
        job.retry_intervals = [RETRY_AFTER_S]
        job.meta["progress"] = job.meta.get("progress", {}) | {"waits_for": str(error)}
        job.save_meta()  # type: ignore[no-untyped-call]  # RQ's
        log.warning("job_waits", why=str(error), again_in_s=RETRY_AFTER_S)
        raise JobFailed(str(error)) from None
    except EarshotError as error:
        raise _record_failure(job, str(error)) from None
    except ModuleNotFoundError as error:
        if (sentence := how_to_install(error)) is None:
            raise
        raise _record_failure(job, sentence) from None
    log.info("job_done", took_s=round(time.monotonic() - began, 1))
    return result


def _record_failure(job: Job, why: str) -> JobFailed:
    """Record an error that another try would not avoid."""
    job.retries_left = 0
    job.meta["error"] = why
    job.save_meta()  # type: ignore[no-untyped-call]  # RQ's
    log.error("job_failed", why=why)
    return JobFailed(why)


async def _run(job: Job, module: str, arguments: Mapping[str, Any]) -> Any:
    settings = load_settings()
    run: Run = importlib.import_module(module).run
    async with open_store(settings) as store:
        context = JobContext(settings, store, make_link(store, settings), job.id)
        saving = asyncio.create_task(_save_progress(job, context))
        try:
            return await run(context, arguments)
        finally:
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)


async def _save_progress(job: Job, context: JobContext) -> None:
    shown: dict[str, Any] = {}
    while True:
        if context.progress != shown:
            shown = dict(context.progress)
            job.meta["progress"] = shown
            with suppress(RedisError, OSError):  # the next try may succeed
                await asyncio.to_thread(job.save_meta)
        await asyncio.sleep(SAVE_EVERY_S)
