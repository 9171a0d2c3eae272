"""The state of jobs, which is read again and again. While Redis is away, it waits."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq.job import JobStatus

from common.redis.failures import is_away
from ops.jobs.queues import ENDED, find_job, has_worker
from ops.jobs.registry import EarshotJob

POLL_S: Final = 0.5

WORDS: Final[Mapping[JobStatus, str]] = {
    JobStatus.QUEUED: "waits in the queue",
    JobStatus.STARTED: "in work",
    JobStatus.SCHEDULED: "waits to run again",
    JobStatus.FINISHED: "done",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "cancelled",
    JobStatus.CANCELED: "cancelled",
}
NO_WORKER: Final = "waits: no `earshot jobs` is running"
AWAY: Final = "Redis is away, the job goes on when it is back"


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of a job. `progress` is the last report of its process."""

    state: str
    ended: bool = False
    done: bool = False
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def read_state(connection: "Redis", identity: str, kind: str) -> JobState:
    """Read the state of a job. Raises RedisError while Redis is away."""
    job = find_job(connection, identity)
    if job is None:
        return JobState("unknown", ended=True, error="there is no such job (any more)")
    status = job.get_status(refresh=False)
    progress = job.meta.get("progress", {})
    words = WORDS.get(status, str(status.value))
    if status is JobStatus.FINISHED:
        return JobState(words, True, True, progress, job.return_value() or {})
    if status in ENDED:
        return JobState(
            words, True, False, progress, error=explain_failure(job) if words == "failed" else words
        )
    if status is JobStatus.QUEUED and not has_worker(kind, connection):
        words = NO_WORKER
    return JobState(words, progress=progress)


def explain_held_up(progress: Mapping[str, Any]) -> str:
    """Return at which limit a job waits, in a sentence; nothing if it does not wait."""
    held_up = progress.get("held_up")
    return f"waits for room: {held_up}" if held_up else ""


def explain_failure(job: EarshotJob) -> str:
    """Return why a job failed: its own sentence, or the last line of RQ's traceback."""
    if isinstance(sentence := job.meta.get("error"), str):
        return sentence
    result = job.latest_result()
    kept = (result.exc_string if result is not None else None) or ""
    lines = [line for line in kept.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "its process died at every try"


def watch(
    connection: "Redis",
    identities: Mapping[str, str],
    show: Callable[[str, JobState], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, JobState]:
    """Show the state of each job (id -> kind) until all have ended; return how they ended.

    Raises RedisError if only a person can help.
    """
    ended: dict[str, JobState] = {}
    last: dict[str, JobState] = {}
    while True:
        for identity, kind in identities.items():
            if identity in ended:
                continue
            try:
                state = read_state(connection, identity, kind)
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                if not is_away(error):
                    raise
                before = last.get(identity, JobState(AWAY))
                state = JobState(AWAY, progress=before.progress)
            last[identity] = state
            show(identity, state)
            if state.ended:
                ended[identity] = state
        if len(ended) == len(identities):
            return ended
        sleep(POLL_S)
