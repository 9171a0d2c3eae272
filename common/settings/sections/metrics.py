"""Where a process can be asked how it is."""

from typing import Annotated

from pydantic import Field

from common.settings.sections.fields import Port, Section


class MetricsSettings(Section):
    """Where a process can be asked how it is: /metrics, /healthz and /readyz over HTTP."""

    host: Annotated[str, Field(min_length=1)] = Field(
        "127.0.0.1", description="Address to listen on; the default is for this machine only."
    )
    port: Port = Field(
        0,
        description="0: off, since several workers on one machine would want the same one."
        " `earshot up` counts on from it: one port for each process.",
    )
