"""The jobs there are. Nothing else is run, whatever somebody writes into a shared Redis.

RQ would import and call any function that a job names (`os.system`, say), and by default it
unpickles what it finds. Here arguments are JSON, a job is one of this table, and callbacks and
webhooks that a job may carry are passed over.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from rq.job import Job
from rq.serializers import JSONSerializer

from common.errors import BadEntry
from ops.jobs.execution import run_job

# name: the module whose `run` does it
MODULES: Final[Mapping[str, str]] = {
    "transcribe": "ops.jobs.transcribe.job",
    "export": "ops.jobs.tasks.export",
    "replay": "ops.jobs.tasks.replay",
    "summary": "ops.jobs.tasks.summary",
    "sweep": "ops.jobs.tasks.sweep",
}


class EarshotJob(Job):
    """An RQ job that is one of KNOWN."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"serializer": JSONSerializer}))

    @property
    def func(self) -> Callable[..., Any]:
        module = MODULES.get(str(self.func_name))
        if module is None:
            self.retries_left = 0
            raise BadEntry(f"there is no job {self.func_name!r}: something else enqueued it")
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
