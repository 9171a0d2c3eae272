"""The web dashboard."""

from typing import Annotated

from pydantic import Field, SecretStr

from common.settings.sections.fields import Count, Port, Seconds, Section


class DashboardSettings(Section):
    """The web dashboard."""

    host: str = Field(
        "",
        description="Address to listen on. Empty: all interfaces if there is a token, else this"
        " machine only.",
    )
    port: Port = Field(
        8484,
        description="TCP port; 0 chooses a free one. Few other programs use the default.",
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="Secret that visitors must enter. Without a token only this machine is served,"
        " because whoever can open the page can read every conversation.",
    )
    origins: Annotated[str, Field(pattern=r"^[^\s*]*$")] = Field(
        "",
        description="Other origins whose pages may read (not change) with the token, separated by"
        " commas, such as https://wall.example,http://localhost:8000. Empty: none,"
        " because no other page needs to.",
    )
    history_s: Seconds = Field(
        86_400,
        description="How many seconds a visitor can look back. The default is how long results are"
        " kept.",
    )
    history_turns: Count = Field(
        50_000,
        description="Most turns that are kept in memory. The default takes about 110 MB.",
    )
    upload_max_mb: Annotated[float, Field(gt=0, le=1e6)] = Field(
        200,
        description="Largest recording that a visitor may send, in MB. All recordings that are"
        " being sent or heard may take five times as much of the disk. The default is about 100"
        " minutes of WAV at 16 kHz.",
    )
