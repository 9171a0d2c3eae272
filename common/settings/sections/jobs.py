"""Settings of `earshot jobs`: work that may take long and may wait."""

from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import Field

from common.settings.sections.fields import Count, HostPath, Seconds, Section


class JobSettings(Section):
    """`earshot jobs`: recordings, exports, summaries, replays and sweeps, with RQ."""

    redis_url: str = Field(
        "",
        description="Address of the Redis server for RQ. Empty: the same server. Needed if"
        " EARSHOT_REDIS__URL is a Cluster, which RQ cannot use.",
    )
    folder: HostPath = Field(
        "",
        description="Folder of recordings, as this host sees it. Jobs read and write files in it"
        " and nowhere else. They name a file by its place in this folder, so another host or a"
        " container may see the folder under another path. Empty: `recordings` in the user's data"
        " folder.",
    )
    recordings: Count = Field(
        1,
        description="Recordings that one `earshot jobs` transcribes at once. The STT workers set"
        " the pace, so each recording is finished sooner if they are done one after"
        " the other.",
    )
    retries: Annotated[int, Field(ge=0, le=1_000)] = Field(
        5,
        description="How often a job whose process died runs again before it counts as failed.",
    )
    keep_s: Seconds = Field(
        7 * 86_400,
        description="`earshot jobs list` shows a job for this many seconds after its end.",
    )
    beat_s: Annotated[int, Field(ge=1, le=3_600)] = Field(
        5,
        description="Time between two signs of life of a job, in seconds. A job runs again when"
        " its worker has missed three.",
    )
    sweep_every_s: Seconds = Field(
        3_600,
        description="Time between two sweeps of old data, in seconds. Once an hour is enough,"
        " because age limits are hours and days.",
    )
    summaries: bool = Field(
        False,
        description="Whether a conversation is summarised when it ends. Off by default, because"
        " each summary costs an LLM request.",
    )
    summary_quiet_s: Seconds = Field(
        600,
        description="A conversation has ended when nothing was said in it for this many seconds.",
    )
    summary_max_tokens: Count = Field(
        300,
        description="Longest summary, in tokens. The default is about 200 words.",
    )

    def folder_path(self) -> Path:
        return Path(self.folder) if self.folder else user_data_path("earshot") / "recordings"
