"""The registry of jobs. Nothing else runs, whatever somebody writes into a shared Redis.

By itself RQ would call any function that a job names, such as `os.system`, and unpickle its
arguments. Here a job must be in this registry, and arguments are JSON. Callbacks and webhooks are
ignored.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Self

import structlog
from redis import Redis
from redis.exceptions import ResponseError
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from common.errors import BadEntry
from ops.jobs.execution import run_job

MODULES: Final[Mapping[str, str]] = {
    "transcribe": "ops.jobs.transcribe.job",
    "export": "ops.jobs.tasks.export",
    "replay": "ops.jobs.tasks.replay",
    "summary": "ops.jobs.tasks.summary",
    "sweep": "ops.jobs.tasks.sweep",
}
"""The names of all jobs, each with the module whose `run` does the work."""

UNREADABLE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What RQ raises for a job that it did not write: an id or a field that it cannot parse."""

log = structlog.get_logger(__name__)


class EarshotJob(Job):
    """An RQ job that is one of MODULES, with arguments by name.

    A job that RQ cannot even read counts as none: RQ would end its worker, and each one after it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"serializer": JSONSerializer}))

    @classmethod
    def fetch(cls, id: str, connection: Any = None, serializer: Any = None) -> Self:  # noqa: A002  # RQ's
        """Fetch a job; raises NoSuchJobError if there is none that RQ can read."""
        try:
            job = super().fetch(id, connection, serializer)
        except (*UNREADABLE, ResponseError) as error:
            if isinstance(error, ResponseError) and not str(error).startswith("WRONGTYPE"):
                raise
            log.warning("foreign_job_ignored", job=id[:80], why=type(error).__name__)
            raise NoSuchJobError(f"job {id[:80]!r} cannot be read") from None
        assert isinstance(job, cls)
        return job

    @classmethod
    def fetch_many(
        cls, job_ids: Iterable[str], connection: "Redis", serializer: Any = None
    ) -> list[Job | None]:
        """Fetch jobs; None for each that is not there or that RQ cannot read."""
        found: list[Job | None] = []
        for identity in job_ids:
            try:
                found.append(cls.fetch(identity, connection, serializer))
            except NoSuchJobError:
                found.append(None)
        return found

    @property
    def func(self) -> Callable[..., Any]:
        """The work; raises BadEntry for a job that earshot does not have, and never looks it up."""
        module = MODULES.get(self.func_name) if isinstance(self.func_name, str) else None
        if module is None:
            raise self._refusal(f"there is no job {repr(self.func_name)[:80]}")
        if self.args or self.instance or not isinstance(self.kwargs, dict):
            raise self._refusal(f"the job {self.func_name!r} takes arguments by name only")
        return partial(_run_with_names, self, module)

    def _refusal(self, why: str) -> BadEntry:
        self.retries_left = 0  # another try would not change it
        return BadEntry(f"{why}: other software enqueued it")

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    def restore(self, raw_data: Any) -> None:
        """Take over the fields of RQ that earshot uses, and leave out all others.

        Raises one of UNREADABLE if RQ could not write the job again.
        """
        super().restore(raw_data)
        self.to_dict(include_meta=False)
        self.webhooks = []
        self.group_id = None
        self.rate_limit_key = self.rate_limit_concurrency = None
        self.repeats_left = None
        meta: Any = self.meta
        self.meta = meta if isinstance(meta, dict) else {}
        if not isinstance(self.meta.get("progress", {}), dict):
            del self.meta["progress"]


def _run_with_names(job: EarshotJob, module: str, /, **arguments: Any) -> Any:
    return run_job(job, module, arguments)
