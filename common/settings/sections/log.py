"""Settings of the log."""

from typing import Literal

from pydantic import Field

from common.settings.sections.fields import Section


class LogSettings(Section):
    """The log, which goes to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Messages below this level are not logged.",
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="auto: JSON if stderr is not a terminal, else console.",
    )
