"""The consumer loop that STT and LLM workers share."""

from pydantic import Field

from common.settings.sections.fields import Count, Seconds, Section


class WorkerSettings(Section):
    """The consumer loop that STT and LLM workers share."""

    claim_idle_s: Seconds = Field(
        10, description="Work of a worker that shows no sign of life passes on after this long."
    )
    drain_timeout_s: Seconds = Field(
        20, description="How long SIGTERM lets work in hand finish before it is handed back."
    )
    max_deliveries: Count = Field(
        5, description="An entry that failed this often without a known cause is buried."
    )
    backoff_max_s: Seconds = Field(
        15, description="Longest pause between two tries at a server that is away."
    )
