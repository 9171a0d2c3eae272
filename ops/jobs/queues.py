"""The two job queues."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Literal

from redis import Redis, WatchError
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

from common.settings import JobSettings
from ops.jobs.registry import EarshotJob

RECORDINGS: Final = "earshot-recordings"
UPKEEP: Final = "earshot-upkeep"
"""Two queues, so that an export need not wait for a recording of three hours."""

NO_TIMEOUT: Final = -1
FAILED: Final = frozenset({JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})
ENDED: Final = FAILED | {JobStatus.FINISHED}

Again = Literal["always", "failed", "never"]
REPLACED: Final[Mapping[Again, frozenset[JobStatus]]] = {
    "always": ENDED,
    "failed": FAILED,
    "never": frozenset(),
}
"""The states in which an old job is replaced by a new one of the same id."""


def open_queue(name: str, connection: "Redis") -> Queue:
    """Open a queue by its name."""
    return Queue(name, connection=connection, job_class=EarshotJob, serializer=JSONSerializer)


def open_queue_of(kind: str, connection: "Redis") -> Queue:
    """Open the queue for jobs of this kind."""
    return open_queue(RECORDINGS if kind == "transcribe" else UPKEEP, connection)


def make_job_id(kind: str, *work: object) -> str:
    """Make a job id. Equal work has an equal id, so RQ does not queue it twice."""
    digest = hashlib.sha256("\0".join(map(str, work)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}-{digest[:12]}"


def enqueue(
    connection: "Redis",
    settings: JobSettings,
    kind: str,
    identity: str,
    arguments: Mapping[str, Any],
    *,
    again: Again,
) -> tuple[EarshotJob, bool]:
    """Put a job into its queue, unless it is known already; return it, and whether it is new.

    `again` says when an old job of this id is replaced: always, if it has failed, or never. A job
    that has not ended is never replaced.
    """
    queue = open_queue_of(kind, connection)
    while True:
        try:
            job = queue.enqueue_call(
                kind,
                kwargs=dict(arguments),
                job_id=identity,
                unique=True,
                timeout=NO_TIMEOUT,
                retry=Retry(max=settings.retries) if settings.retries else None,
                result_ttl=round(settings.keep_s),
                failure_ttl=round(settings.keep_s),
                description=kind,
            )
        except DuplicateJobError:
            known = find_job(connection, identity)
            if known is None:
                continue
            if known.get_status(refresh=False) not in REPLACED[again]:
                return known, False
            known.delete()
            continue
        assert isinstance(job, EarshotJob)
        return job, True


def find_job(connection: "Redis", identity: str) -> EarshotJob | None:
    """Return the job with this id; None if there is none."""
    try:
        return EarshotJob.fetch(identity, connection=connection)
    except NoSuchJobError:
        _delete_remains(connection, identity)
        return None


def _delete_remains(connection: "Redis", identity: str) -> None:
    """Delete what is at a job's key and is no job: RQ can neither read nor replace it.

    Such a hash appears when a process reports progress of a deleted job, or comes from other
    software.
    """
    key = EarshotJob.key_for(identity)
    with connection.pipeline() as pipeline, suppress(WatchError):
        pipeline.watch(key)  # type: ignore[no-untyped-call]  # redis-py's
        if not pipeline.exists(key):
            return
        try:
            EarshotJob.fetch(identity, connection=connection)
        except NoSuchJobError:
            pipeline.multi()
            pipeline.delete(key)
            pipeline.execute()
        # else somebody has enqueued it again


def has_worker(kind: str, connection: "Redis") -> bool:
    """Return whether a live worker runs jobs of this kind."""
    keys = get_keys(queue=open_queue_of(kind, connection))
    return bool(keys) and bool(connection.exists(*keys))
