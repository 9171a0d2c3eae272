"""The web dashboard."""

from typing import Annotated

from pydantic import Field, SecretStr

from common.settings.sections.fields import Count, Port, Seconds, Section


class DashboardSettings(Section):
    """The web dashboard."""

    host: str = Field(
        "",
        description="Address to listen on; empty: every interface if there is a token, else this"
        " machine only.",
    )
    port: Port = Field(
        8484, description="TCP port; 0 takes a free one. The default is seldom used."
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="What visitors have to know. Without one only this machine is served: whoever"
        " can open the page reads every conversation.",
    )
    origins: Annotated[str, Field(pattern=r"^[^\s*]*$")] = Field(
        "",
        description="Other origins whose pages may read (not change) with the token, separated by"
        " commas, such as https://wall.example,http://localhost:8000. None by default: no page"
        " of anybody else needs to.",
    )
    history_s: Seconds = Field(
        86_400, description="How far back a late visitor sees: as long as results are kept."
    )
    history_turns: Count = Field(
        50_000, description="And no more turns than this: about 110 MB of memory."
    )
    upload_max_mb: Annotated[float, Field(gt=0, le=1e6)] = Field(
        200, description="Largest recording that may be sent: about 100 minutes of WAV at 16 kHz."
    )
