"""Limits on everything that earshot keeps in Redis."""

from typing import Annotated

from pydantic import Field

from common.settings.sections.fields import Count, Seconds, Section


class LimitSettings(Section):
    """Limits on everything that earshot keeps in Redis."""

    session_ttl_s: Seconds = Field(
        86_400,
        description="A session is forgotten this many seconds after its last turn. The default is"
        " a day, as for results.",
    )
    seen_ttl_s: Seconds = Field(
        8 * 86_400,
        description="For this many seconds Redis recognises that an utterance was published"
        " before. It must be longer than outbox_max_age_s.",
    )
    max_backlog: Count = Field(
        1_000,
        description="Utterances of one shard that may wait for STT. Beyond it, producers keep new"
        " utterances in their outboxes. The default is about an hour of work for one"
        " worker on a CPU.",
    )
    max_unanswered: Annotated[int, Field(ge=1, le=100_000)] = Field(
        100,
        description="Unanswered turns that one session may have. Beyond it, its producer keeps new"
        " utterances in its outbox.",
    )
    max_entry_bytes: Count = Field(
        4 * 2**20,
        description="Largest audio of one entry, in bytes. The 120 s of max_audio_s take 3.7 MiB"
        " as PCM.",
    )
    max_audio_s: Seconds = Field(
        120,
        description="Longest audio of one entry after decoding, in seconds. The longest utterance"
        " is 30 s by default.",
    )
    turn_timeout_s: Seconds = Field(
        30,
        description="An eager turn ends this many seconds after the last sign of life of its"
        " producer.",
    )
    tend_after_s: Seconds = Field(
        15,
        description="Workers look after an unfinished session every this many seconds. The default"
        " is longer than any stage takes when all is well.",
    )
    results_age_s: Seconds = Field(
        86_400,
        description="Results are kept for this many seconds. The default is a day, so that a"
        " dashboard that starts late can show the last day.",
    )
    results_max: Count = Field(
        1_000_000,
        description="Most results that are kept per shard. The default takes about 1 GB.",
    )
    deltas: bool = Field(
        True,
        description="Whether pieces of a reply are published while the reply is being made.",
    )
    deltas_age_s: Seconds = Field(
        600,
        description="Deltas are kept for this many seconds. A short time is enough, because the"
        " results hold the whole reply.",
    )
    deltas_max: Count = Field(
        100_000,
        description="Most deltas that are kept per shard.",
    )
    dead_max: Count = Field(
        10_000,
        description="Most dead letters that are kept per shard. Beyond it the oldest are dropped,"
        " and the log says so.",
    )
    dead_max_mb: Annotated[int, Field(ge=1, le=100_000)] = Field(
        256,
        description="Most MiB that the dead letters of one shard may take. Beyond it the oldest are"
        " dropped, and the log says so. The newest one stays, whatever its size. The default is an"
        " eighth of the 2 GB that Compose gives Redis, and holds about 4 hours of speech as FLAC.",
    )
    dead_age_s: Annotated[float, Field(ge=0, le=1e9)] = Field(
        0,
        description="Dead letters older than this many seconds are dropped. 0: never, because each"
        " one is speech that nobody answered.",
    )
