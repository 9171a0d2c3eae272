"""Where the spans of a turn go."""

from typing import Annotated

from pydantic import Field

from common.settings.sections.fields import Section


class TraceSettings(Section):
    """OpenTelemetry traces, one per turn; they need the extra `traces`."""

    endpoint: Annotated[str, Field(pattern=r"^(https?://[^\s/]+.*)?$")] = Field(
        "",
        description="A collector that takes OTLP over HTTP, such as http://127.0.0.1:4318;"
        " empty: no traces.",
    )
