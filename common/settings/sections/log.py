"""What is logged, and how."""

from typing import Literal

from pydantic import Field

from common.settings.sections.fields import Section


class LogSettings(Section):
    """Logs go to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: JSON when stderr is not a terminal."
    )
