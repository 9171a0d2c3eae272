"""The consumer loop that STT and LLM workers share."""

from pydantic import Field

from common.settings.sections.fields import Count, Seconds, Section


class WorkerSettings(Section):
    """The consumer loop that STT and LLM workers share."""

    claim_idle_s: Seconds = Field(
        10,
        description="When a worker has shown no sign of life for this many seconds, other workers"
        " take over its entries.",
    )
    drain_timeout_s: Seconds = Field(
        20,
        description="After SIGTERM a worker may finish the work in hand for this many seconds;"
        " then it hands it back.",
    )
    max_deliveries: Count = Field(
        5,
        description="An entry that failed this often is buried, if the server behind the worker"
        " answers others; so is one whose workers died this often.",
    )
    backoff_max_s: Seconds = Field(
        15,
        description="Longest pause between two tries of a request that failed, and between two"
        " tries to reach Redis, in seconds.",
    )
