"""One RQ worker process, `python -m ops.jobs.worker QUEUE`. `earshot jobs` starts it.

Every job may be killed at any moment and run again. So a worker that must stop kills its job, and
puts it back into the queue.
"""

import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import structlog
from redis.client import Pipeline
from redis.exceptions import AuthenticationError, NoPermissionError
from rq import Queue, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker_registration import clean_worker_registry, register

from common.latch import Latch
from common.settings.loading import load_settings
from common.telemetry import logs
from ops.jobs.connection import connect, explain_error
from ops.jobs.execution import JobFailed
from ops.jobs.queues import open_queue
from ops.jobs.registry import UNREADABLE, EarshotJob
from ops.local.die_with_parent import die_with_parent

BEATS_MISSED: Final = 3
"""A worker counts as dead after this many missed heartbeats."""

RQ_MARGIN_S: Final = 15
"""RQ stops waiting for a job, and does its other work, 15 s before `worker_ttl` is over."""

LOCK_S: Final = 10
"""How long the lock for cleaning up lasts. RQ's own lock would last 15 minutes, even if its holder
is killed."""

log = structlog.get_logger(__name__)


class JobWorker(Worker):
    """RQ's worker with two changes: it notices deaths within seconds, and it unpickles nothing."""

    def __init__(self, queue: Queue, *, beat_s: int, keep_s: float) -> None:
        self.is_leaving = False
        self.exit_status = 1  # RQ also returns if Redis was away for too long
        self._unclean = Latch("")
        self._arm: Callable[[], None] = lambda: None
        super().__init__(
            [queue],
            name=f"{queue.name}-{socket.gethostname()}-{uuid.uuid4().hex[:8]}",
            connection=queue.connection,
            job_class=EarshotJob,
            serializer=JSONSerializer,
            default_result_ttl=round(keep_s),
            worker_ttl=RQ_MARGIN_S + beat_s,
            job_monitoring_interval=beat_s,
            maintenance_interval=beat_s,
            log_job_description=False,
        )
        self.log_result_lifespan = False

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        return BEATS_MISSED * int(self.job_monitoring_interval)

    def heartbeat(self, timeout: int | None = None, pipeline: "Pipeline | None" = None) -> None:
        super().heartbeat(timeout, pipeline)
        register(self, pipeline)  # again and again: Redis may have lost its data

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        self._arm = die_with_parent(signal.SIGKILL)
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        # the job dies with its worker, or it would run beside the next attempt
        self._arm()
        super().main_work_horse(job, queue)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Leave for good at SIGTERM, which `earshot jobs` sends; else to be started again.

        RQ's command `shutdown` comes as SIGINT. Whoever may write into Redis can send it.
        """
        if signum == signal.SIGTERM:
            self.exit_status = 0
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's

    def handle_warm_shutdown_request(self) -> None:
        self.is_leaving = True
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGKILL)

    def handle_work_horse_killed(self, job: Job, retpid: Any, ret_val: Any, rusage: Any) -> None:
        if self.is_leaving:
            job.retries_left = (job.retries_left or 0) + 1  # the job has not failed
        left = job.retries_left or 0
        log.warning("job_process_died", job=job.id, runs_again=left > 0, leaving=self.is_leaving)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log what `run_job` has not logged; RQ keeps the traceback."""
        if exc_info and exc_info[0] is not JobFailed:
            log.error("job_raised", job=job.id, exc_info=exc_info)

    def clean_registries(self) -> None:
        """Put jobs of dead workers back into the queue, and delete old jobs that have ended."""
        for queue in self.queues:
            if self.connection.set(f"{queue.key}:earshot-cleaning", 1, nx=True, ex=LOCK_S):
                for registry in (StartedJobRegistry, FinishedJobRegistry, FailedJobRegistry):
                    self._clean(registry(queue=queue, job_class=EarshotJob).cleanup)
                self._clean(clean_worker_registry, queue)
                self._clean(queue.intermediate_queue.cleanup, self, queue)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ declares it as None

    def _clean(self, clean: Callable[..., object], *arguments: object) -> None:
        """Clean one place; what other software wrote there must not end the worker."""
        try:
            clean(*arguments)
        except UNREADABLE as error:
            if self._unclean.change_to(why := f"{type(error).__name__} in {clean.__qualname__}"):
                log.warning("cannot_clean", why=why)

    def clean_group_registries(self) -> None:
        """Do nothing: earshot has no groups, and RQ would unpickle jobs of other software."""


def main() -> None:
    settings = load_settings()
    queue = open_queue(sys.argv[1], connect(settings, patient=True))
    logs.set_up(settings.log, queue=queue.name)
    try:
        worker = JobWorker(queue, beat_s=settings.jobs.beat_s, keep_s=settings.jobs.keep_s)
        worker.work(logging_level="ERROR")
    except (AuthenticationError, NoPermissionError) as error:
        log.error("worker_refused", why=explain_error(error, settings))
        sys.exit(1)
    sys.exit(worker.exit_status)


if __name__ == "__main__":
    main()
