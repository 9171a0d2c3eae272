"""The list of jobs, and cancelling a job."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from redis import Redis
from rq import Worker
from rq.command import send_stop_job_command
from rq.exceptions import DeserializationError, InvalidJobOperation
from rq.job import JobStatus
from rq.registry import (
    CanceledJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer

from common.errors import BadInput
from ops.cli.jobs.job_state import POLL_S, WORDS, explain_failure, explain_held_up
from ops.cli.terminal.conversation import to_one_line
from ops.jobs.queues import ENDED, RECORDINGS, UPKEEP, find_job, open_queue
from ops.jobs.registry import UNREADABLE, EarshotJob

STOPPED: Final = frozenset({JobStatus.STOPPED, JobStatus.CANCELED})
REGISTRIES: Final = (
    ScheduledJobRegistry,
    StartedJobRegistry,
    FinishedJobRegistry,
    FailedJobRegistry,
    CanceledJobRegistry,
)


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job of the list. `what` is its file or session, `asked_at` is ISO 8601."""

    job: str
    kind: str
    what: str
    state: str
    progress: dict[str, Any]
    asked_at: str
    error: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> list[str]:
        """Return the cells of the table: job, file or session, state, progress, request."""
        done, total = self.progress.get("done_s", 0.0), self.progress.get("duration_s")
        known = isinstance(done, int | float) and isinstance(total, int | float) and total > 0
        share = f"{min(done / total, 1):.0%}" if known else str(self.progress.get("text", ""))
        waits_for = self.progress.get("waits_for")
        wait = f"waits: {waits_for}" if waits_for else explain_held_up(self.progress)
        progress = ", ".join(text for text in (share, wait) if text)
        what, asked = self.what.rpartition("/")[2], self.asked_at[:16].replace("T", " ")
        return [to_one_line(text) for text in (self.job, what, self.state, progress, asked)]


def list_jobs(connection: "Redis") -> list[JobRow]:
    """Return all jobs, in the order of the requests."""
    ids: dict[str, None] = {}
    for name in (RECORDINGS, UPKEEP):
        queue = open_queue(name, connection)
        ids |= dict.fromkeys(queue.get_job_ids())
        for registry in REGISTRIES:
            ids |= dict.fromkeys(
                registry(queue=queue, job_class=EarshotJob).get_job_ids(cleanup=False)
            )
    found = []
    for identity in ids:
        # jobs of other software may be pickled, or have arguments of another form
        with suppress(DeserializationError, *UNREADABLE):
            if (job := find_job(connection, identity)) is not None:
                found.append(_to_row(job))
    return sorted(found, key=lambda job: job.asked_at)


def _to_row(job: EarshotJob) -> JobRow:
    status = job.get_status(refresh=False)
    arguments = job.kwargs
    what = next(
        (arguments[name] for name in ("file", "output", "session") if name in arguments), ""
    )
    return JobRow(
        job=job.id,
        kind=str(job.func_name),
        what=str(what),
        state=WORDS.get(status, status.value),
        progress=dict(job.meta.get("progress", {})),
        asked_at=job.created_at.isoformat(timespec="seconds"),
        error=explain_failure(job) if status is JobStatus.FAILED else "",
    )


def cancel(
    connection: "Redis", identity: str, *, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Cancel a job; return the session if the job transcribes a recording, or nothing.

    It waits until the worker has stopped the job, or counts as dead. Raises BadInput if there is no
    such job, or if it has ended.
    """
    asked = False
    while True:
        job = find_job(connection, identity)
        if job is None:
            raise BadInput(f"there is no job {identity!r}: `earshot jobs list` shows the jobs")
        status = job.get_status(refresh=False)
        if asked and status in STOPPED:
            break
        if status in ENDED:
            raise BadInput(f"job {identity} is {WORDS.get(status, status.value)} already")
        if status is not JobStatus.STARTED or not _has_its_worker(connection, job):
            job.cancel()
            break
        with suppress(InvalidJobOperation):  # it has just ended
            send_stop_job_command(connection, identity, serializer=JSONSerializer)
        asked = True
        sleep(POLL_S)
    return str(job.kwargs.get("session", "")) if job.func_name == "transcribe" else ""


def _has_its_worker(connection: "Redis", job: EarshotJob) -> bool:
    return bool(connection.exists(f"{Worker.redis_worker_namespace_prefix}{job.worker_name}"))
