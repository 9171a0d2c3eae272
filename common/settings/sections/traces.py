"""Where traces are sent."""

from typing import Annotated

from pydantic import Field

from common.settings.sections.fields import Section


class TraceSettings(Section):
    """OpenTelemetry traces, one per turn. They need the extra `traces`."""

    endpoint: Annotated[str, Field(pattern=r"^(https?://[^\s/]+.*)?$")] = Field(
        "",
        description="Address of a collector that accepts OTLP over HTTP, such as"
        " http://127.0.0.1:4318. Empty: no traces.",
    )
