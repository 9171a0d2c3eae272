"""What runs beside the hot path: recordings, exports, summaries, sweeps."""

from typing import Annotated

from pydantic import Field

from common.settings.sections.fields import Count, HostPath, Seconds, Section


class JobSettings(Section):
    """`earshot jobs`: recordings, exports, summaries, replays and sweeps, by RQ."""

    redis_url: str = Field(
        "",
        description="RQ's own Redis, where EARSHOT_REDIS__URL is a Cluster, which RQ cannot use;"
        " empty: the same server.",
    )
    folder: HostPath = Field(
        "",
        description="The folder of recordings as this host sees it. What lies in it is named by"
        " its place there, so that another host, or a container, may see it under another path;"
        " empty: paths as they are.",
    )
    recordings: Count = Field(
        1,
        description="Recordings in work at once per `earshot jobs`: the STT workers set the pace,"
        " and one after the other each is done sooner.",
    )
    retries: Annotated[int, Field(ge=0, le=1_000)] = Field(
        5, description="How often a job whose process died is run again before it is given up."
    )
    keep_s: Seconds = Field(
        7 * 86_400, description="How long `earshot jobs list` knows a job that has ended."
    )
    beat_s: Annotated[int, Field(ge=1, le=3_600)] = Field(
        5,
        description="A job's sign of life, s: one whose worker gave none for three of them runs"
        " again.",
    )
    sweep_every_s: Seconds = Field(
        3_600, description="How often what is too old is swept out: ages are hours and days."
    )
    summaries: bool = Field(
        False,
        description="Whether a conversation is summarised when it ends: each costs an LLM request.",
    )
    summary_quiet_s: Seconds = Field(
        600, description="A conversation has ended when nothing was said in it for this long."
    )
    summary_max_tokens: Count = Field(300, description="Length of a summary: about 200 words.")
