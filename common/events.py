"""The events on `results` and `deltas`: what every subscriber may rely on.

Bytes are parsed here, once; everything else handles frozen records.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from common.errors import BadEntry
from common.validation import check_version, explain

SCHEMA: Final = 1

SkipReason = Literal[
    "noise", "invented", "too_short", "merged", "transcript_only", "expired", "forgotten"
]


class _Frozen(BaseModel):
    # newer versions may add fields, and older subscribers must go on reading
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Timings(_Frozen):
    """Milliseconds since the end of speech, by the Redis server's clock.

    `committed` is there if STT began before the end of the turn was certain. It is the time when
    the silence was confirmed; `published` to `transcribed` may be earlier.
    """

    published: float | None = None
    stt_started: float | None = None
    transcribed: float | None = None
    committed: float | None = None
    llm_started: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    done: float | None = None


class HeardData(_Frozen):
    """An utterance was accepted. `spoken_at`: when its speech ended (ms, Redis's clock)."""

    spoken_at: float
    speech_ms: int = 0
    source: str = ""
    replay_of: str = ""


class Segment(_Frozen):
    """A part of a transcript; when, in ms since the first sample of the utterance's audio."""

    start_ms: int
    end_ms: int
    text: str


class TranscriptData(_Frozen):
    """What was said. If there was STT, the scores are faster-whisper's means over segments.

    `segments` are there if the model heard more than one. `invented` is text of the model that was
    dropped, because nobody said it.
    """

    text: str
    timings: Timings = Timings()
    speech_ms: int = 0
    language: str = ""
    language_probability: float | None = None
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    audio_ms: int | None = None
    decode_ms: int | None = None
    model: str = ""
    worker: str = ""
    segments: tuple[Segment, ...] = ()
    invented: str = ""


class SkippedData(_Frozen):
    """The turn ends without a reply of its own; `into` is the turn it was merged into.

    For `noise` and `invented` the detail holds the scores, as a transcript does; for `invented`
    also the text of the model, `invented`.
    """

    reason: SkipReason
    into: int | None = None
    detail: dict[str, Any] | None = None


class Usage(_Frozen):
    """Tokens, as the server counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ReplyData(_Frozen):
    """The whole reply. `trace`: the id of the turn's trace (32 hexadecimal digits).

    `reasoning` is what the model thought, if `EARSHOT_LLM__KEEP_REASONING` is on.
    """

    text: str
    model: str = ""
    usage: Usage | None = None
    finish_reason: str = ""
    interrupted: bool = False
    attempt: int = 1
    timings: Timings = Timings()
    worker: str = ""
    trace: str = ""
    reasoning: str | None = None


class ErrorData(_Frozen):
    """The turn failed for good: `reason` is for programs, `error` for people."""

    stage: str
    reason: str
    error: str
    deliveries: int = 0


class DeltaData(_Frozen):
    """A piece of a reply. A higher `attempt` starts the text again."""

    attempt: int
    index: int
    text: str


# (session, epoch, turn)
TurnKey = tuple[str, int, int]


class _Event(_Frozen):
    v: int
    session: str
    epoch: int
    turn: int
    id: str
    at: int

    @property
    def key(self) -> TurnKey:
        """The turn that it is about."""
        return self.session, self.epoch, self.turn

    def as_line(self) -> str:
        """Return JSON on one line, without unset fields and without a line end."""
        return self.model_dump_json(exclude_none=True)


class Heard(_Event):
    type: Literal["heard"]
    data: HeardData


class Transcript(_Event):
    type: Literal["transcript"]
    data: TranscriptData


class Skipped(_Event):
    type: Literal["skipped"]
    data: SkippedData


class Reply(_Event):
    type: Literal["reply"]
    data: ReplyData


class Error(_Event):
    type: Literal["error"]
    data: ErrorData


class ReplyDelta(_Event):
    type: Literal["reply.delta"]
    data: DeltaData


Event = Heard | Transcript | Skipped | Reply | Error | ReplyDelta
_HIDDEN: Final = ConfigDict(hide_input_in_errors=True)
EVENTS: Final[TypeAdapter[Event]] = TypeAdapter(
    Annotated[Event, Field(discriminator="type")], config=_HIDDEN
)

# Every (session, epoch, turn) that was heard ends in exactly one of these.
Ending = Skipped | Reply | Error


def limit_time(event: Event, latest_ms: int) -> Event:
    """Return the event with a time that is not after `latest_ms`.

    Whoever may write events may give them any time. Readers rely on it: one event from the far
    future would make all others look old.
    """
    return event if event.at <= latest_ms else event.model_copy(update={"at": latest_ms})


def parse_event(fields: Mapping[bytes, bytes]) -> Event:
    """Parse an entry of `results` or `deltas`; raises BadEntry with a sentence if it is malformed.

    Raises NewerSchema for an entry of a newer earshot, which we would misread.
    """
    try:
        values: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
        check_version("the event", values.get("v", str(SCHEMA)), SCHEMA)
        values["data"] = _DATA.validate_json(values.get("data", "{}"))
        return EVENTS.validate_python(values)
    except ValidationError as error:
        raise BadEntry(f"the event's {explain(error)}") from None
    except UnicodeDecodeError:
        raise BadEntry("the event is not UTF-8") from None


_DATA: Final = TypeAdapter(dict[str, Any], config=_HIDDEN)
