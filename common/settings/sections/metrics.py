"""Address of the pages that show the state of a process."""

from typing import Annotated

from pydantic import Field

from common.settings.sections.fields import Port, Section


class MetricsSettings(Section):
    """The pages /metrics, /healthz and /readyz, which show the state of a process over HTTP."""

    host: Annotated[str, Field(min_length=1)] = Field(
        "127.0.0.1",
        description="Address to listen on. The default serves this machine only.",
    )
    port: Port = Field(
        0,
        description="TCP port. 0: off, because several workers on one machine would want the same"
        " port. `earshot up` counts up from it: one port for each process.",
    )
