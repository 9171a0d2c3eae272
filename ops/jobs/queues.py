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

FOREVER: Final = -1
GIVEN_UP: Final = frozenset({JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})
ENDED: Final = GIVEN_UP | {JobStatus.FINISHED}

Again = Literal["always", "failed", "never"]
REPLACED: Final[Mapping[Again, frozenset[JobStatus]]] = {
    "always": ENDED,
    "failed": GIVEN_UP,
    "never": frozenset(),
}


def open_queue(name: str, connection: "Redis") -> Queue:
    return Queue(name, connection=connection, job_class=EarshotJob, serializer=JSONSerializer)


def open_queue_of(kind: str, connection: "Redis") -> Queue:
    return open_queue(RECORDINGS if kind == "transcribe" else UPKEEP, connection)


def make_job_id(kind: str, *what: object) -> str:
    """Make a job id: equal work has an equal id, so RQ queues it once."""
    digest = hashlib.sha256("\0".join(map(str, what)).encode("utf-8", "surrogatepass")).hexdigest()
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
    """Put a job into its queue unless it is there; return the job, and whether it is new.

    `again` says when a job of this id that has ended is replaced by a new one.
    """
    into = open_queue_of(kind, connection)
    while True:
        try:
            job = into.enqueue_call(
                kind,
                kwargs=dict(arguments),
                job_id=identity,
                unique=True,
                timeout=FOREVER,
                retry=Retry(max=settings.retries) if settings.retries else None,
                result_ttl=round(settings.keep_s),
                failure_ttl=round(settings.keep_s),
                description=kind,
            )
        except DuplicateJobError:
            there = find_job(connection, identity)
            if there is None:
                continue
            if there.get_status(refresh=False) not in REPLACED[again]:
                return there, False
            there.delete()
            continue
        assert isinstance(job, EarshotJob)
        return job, True


def find_job(connection: "Redis", identity: str) -> EarshotJob | None:
    """Find a job by its id; None if there is none."""
    try:
        return EarshotJob.fetch(identity, connection=connection)
    except NoSuchJobError:
        _delete_remains(connection, identity)
        return None


def _delete_remains(connection: "Redis", identity: str) -> None:
    """Delete what is at a job's key and is no job: RQ can neither read nor replace it.

    It appears when a process reports progress of a forgotten job, or when other software writes.
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
    """Tell whether a live worker serves jobs of this kind."""
    keys = get_keys(queue=open_queue_of(kind, connection))
    return bool(keys) and bool(connection.exists(*keys))
