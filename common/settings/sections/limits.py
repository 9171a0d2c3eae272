"""What bounds everything that earshot keeps in Redis."""

from typing import Annotated

from pydantic import Field

from common.settings.sections.fields import Count, Seconds, Section


class LimitSettings(Section):
    """What bounds everything that earshot keeps in Redis."""

    session_ttl_s: Seconds = Field(
        86_400, description="A quiet session is forgotten after this long: a day, as results are."
    )
    seen_ttl_s: Seconds = Field(
        8 * 86_400,
        description="How long a repeated publish is recognised: must outlive the outbox's max_age.",
    )
    max_backlog: Count = Field(
        1_000,
        description="Utterances of a shard that may wait for STT before producers keep new ones"
        " in their outboxes: about an hour of work for one worker on a CPU.",
    )
    max_unanswered: Count = Field(
        100, description="The same for the unanswered turns of one session."
    )
    max_entry_bytes: Count = Field(
        4 * 2**20, description="Audio of one entry: the 120 s of max_audio_s take 3.7 MiB as PCM."
    )
    max_audio_s: Seconds = Field(
        120, description="Decoded length of one entry: the longest utterance is 30 s by default."
    )
    turn_timeout_s: Seconds = Field(
        30, description="An eager turn whose producer falls silent ends after this long."
    )
    tend_after_s: Seconds = Field(
        15,
        description="An unfinished session is looked after this often: rarer than any stage"
        " takes when all is well.",
    )
    results_age_s: Seconds = Field(
        86_400, description="Results stay this long, so that a late dashboard sees the last day."
    )
    results_max: Count = Field(
        1_000_000, description="And no more than this many per shard: about 1 GB."
    )
    deltas: bool = Field(True, description="Whether replies in the making are published.")
    deltas_age_s: Seconds = Field(
        600, description="Deltas stay this long; the whole reply is in the results."
    )
    deltas_max: Count = Field(100_000, description="And no more than this many per shard.")
    dead_max: Count = Field(
        10_000, description="Dead letters per shard; the oldest are dropped, and said so."
    )
    dead_age_s: Annotated[float, Field(ge=0, le=1e9)] = Field(
        0,
        description="Dead letters older than this are dropped; 0: never, since each is something"
        " that somebody said and nobody answered.",
    )
