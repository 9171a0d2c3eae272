"""The registry of jobs. Nothing else runs, whatever somebody writes into a shared Redis.

By itself RQ would call any function that a job names, such as `os.system`, and unpickle its
arguments. Here a job must be in this registry, and arguments are JSON. Callbacks and webhooks are
ignored.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

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


class EarshotJob(Job):
    """An RQ job whose name is in MODULES."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"serializer": JSONSerializer}))

    @property
    def func(self) -> Callable[..., Any]:
        module = MODULES.get(str(self.func_name))
        if module is None:
            self.retries_left = 0
            raise BadEntry(f"there is no job {self.func_name!r}: other software enqueued it")
        return partial(run_job, self, module)

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
        super().restore(raw_data)
        self.webhooks = []
