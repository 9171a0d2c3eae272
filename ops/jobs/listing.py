"""The jobs there are, and stopping one."""

from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation
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
from ops.jobs.known import KnownJob
from ops.jobs.queues import ENDED, RECORDINGS, UPKEEP, find, queue
from ops.jobs.watching import WORDS, why_of
from ops.terminal.conversation import one_line

REGISTRIES = (
    ScheduledJobRegistry,
    StartedJobRegistry,
    FinishedJobRegistry,
    FailedJobRegistry,
    CanceledJobRegistry,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A job as a person looks at it. `asked_at`: ISO 8601."""

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
        """One line for each of: job, of what, state, how far, asked."""
        done, total = self.progress.get("done_s", 0.0), self.progress.get("duration_s")
        far = f"{min(done / total, 1):.0%}" if total else str(self.progress.get("said", ""))
        what, asked = self.what.rpartition("/")[2], self.asked_at[:16].replace("T", " ")
        return [one_line(text) for text in (self.job, what, self.state, far, asked)]


def listed(connection: "Redis") -> list[Listed]:
    """Every job that is known, by when it was asked for."""
    ids: dict[str, None] = {}
    for name in (RECORDINGS, UPKEEP):
        of = queue(name, connection)
        ids |= dict.fromkeys(of.get_job_ids())
        for registry in REGISTRIES:
            ids |= dict.fromkeys(registry(queue=of, job_class=KnownJob).get_job_ids(cleanup=False))
    jobs = KnownJob.fetch_many(list(ids), connection=connection, serializer=JSONSerializer)
    found = [_listed(job) for job in jobs if isinstance(job, KnownJob)]
    return sorted(found, key=lambda job: job.asked_at)


def _listed(job: KnownJob) -> Listed:
    status = job.get_status(refresh=False)
    arguments = job.kwargs
    what = next(
        (arguments[name] for name in ("file", "output", "session") if name in arguments), ""
    )
    return Listed(
        job=job.id,
        kind=str(job.func_name),
        what=str(what),
        state=WORDS.get(status, status.value),
        progress=dict(job.meta.get("progress", {})),
        asked_at=job.created_at.isoformat(timespec="seconds"),
        error=why_of(job) if status is JobStatus.FAILED else "",
    )


def cancel(connection: "Redis", identity: str) -> str:
    """Stop a job; the session that it was working for, if it is a recording.

    Raises BadInput if there is no such job, or if it has ended.
    """
    job = find(connection, identity)
    if job is None:
        raise BadInput(f"there is no job {identity!r}: `earshot jobs list` shows those there are")
    status = job.get_status(refresh=False)
    if status in ENDED:
        raise BadInput(f"job {identity} is {WORDS.get(status, status.value)} already")
    if status is JobStatus.STARTED:
        try:
            send_stop_job_command(connection, identity, serializer=JSONSerializer)
        except InvalidJobOperation:
            raise BadInput(f"job {identity} has just ended") from None
    else:
        job.cancel()
    return str(job.kwargs.get("session", "")) if job.func_name == "transcribe" else ""
