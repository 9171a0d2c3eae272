"""One utterance as it travels from the microphone host to a worker: a stream entry."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import BadEntry
from common.keys import SESSION_ID, UTTERANCE_ID
from common.traceparent import FORM
from common.validation import check_version, explain

SCHEMA: Final = 1
TRACEPARENT: Final = rf"^({FORM})?$"
NAME: Final = r"^[^\x00-\x1f\x7f]*$"
LANGUAGE: Final = r"^(?:[^\W\d_]|[ .@'-]|[_-][0-9A-Za-z]+)*$"
"""What a code or name of a language looks like: `en_US.UTF-8`, `es-419`, `Norsk bokmål`. Whether it
is one is for the settings of a producer and for the STT worker to say."""


MAX_SAMPLES: Final = 2**30
"""About 18 hours of 16 kHz audio: above every limit in the settings, and no overflow."""

MAX_MS: Final = 2**53
"""The largest integer that a double, the number of Lua and JSON, counts exactly."""

Codec = Literal["flac", "pcm_s16le"]


def _whole(pattern: re.Pattern[str]) -> str:
    # pydantic searches, with a `$` that is the very end; Python's `$` would let a line end pass
    return "^" + pattern.pattern.replace(r"\Z", "$")


SessionId = Annotated[str, Field(pattern=_whole(SESSION_ID))]


class Utterance(BaseModel):
    """A finished (or, with `final=False`, unfinished) piece of speech, or a text in its place.

    `samples` counts per channel (there is one) at `rate` Hz; `speech_ms` is the voiced part;
    `hold_ms` the age of the end of speech when it was published, by a clock of the producer that
    no setting of the time changes. For traces only: `length_ms` from its first sample to the end
    of speech, `silence_ms` the silence behind it that was waited for. `turn` is allotted by
    `publish`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    v: int = SCHEMA
    id: Annotated[str, Field(pattern=_whole(UTTERANCE_ID))]
    session: SessionId
    turn: Annotated[int, Field(ge=0, le=MAX_MS)] = 0
    revision: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    final: bool = True
    codec: Codec = "flac"
    rate: Annotated[int, Field(ge=8_000, le=192_000)] = 16_000
    samples: Annotated[int, Field(ge=0, le=MAX_SAMPLES)] = 0
    audio: bytes = b""
    text: str | None = None
    speech_ms: Annotated[int, Field(ge=0, le=MAX_MS)] = 0
    length_ms: Annotated[int, Field(ge=0, le=MAX_MS)] = 0
    silence_ms: Annotated[int, Field(ge=0, le=MAX_MS)] = 0
    hold_ms: Annotated[int, Field(ge=0, le=MAX_MS)] = 0
    source: Annotated[str, Field(max_length=200, pattern=NAME)] = ""
    language: Annotated[str, Field(max_length=64, pattern=LANGUAGE)] = ""
    persona: Annotated[str, Field(max_length=64, pattern=NAME)] = ""
    answer: bool = True
    interrupt: bool = False
    continued: bool = False
    replay_of: Annotated[str, Field(max_length=128, pattern=NAME)] = ""
    traceparent: Annotated[str, Field(pattern=TRACEPARENT)] = ""

    def for_later_stages(self) -> dict[str, Any]:
        """Return what the record keeps for the stages after STT."""
        kept: dict[str, Any] = {
            "speech_ms": self.speech_ms,
            "answer": int(self.answer),
            "interrupt": int(self.interrupt),
        }
        for name in (
            *("source", "persona", "language", "replay_of", "traceparent"),
            *("length_ms", "silence_ms"),
        ):
            if value := getattr(self, name):
                kept[name] = value
        return kept

    def to_fields(self) -> list[str | bytes | int]:
        """Return field, value, field, value... of the stream entry; `publish` adds `turn`."""
        fields: list[str | bytes | int] = []
        for name, value in self:
            if name in {"turn", "text"} or value == "":
                continue
            fields += [name, int(value) if isinstance(value, bool) else value]
        return fields

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes], *, max_audio: int) -> Self:
        """Parse a stream entry.

        Raises BadEntry with a sentence that says which field is wrong: a foreign client's entry,
        or one whose audio is above `max_audio` bytes; NewerSchema for one of a newer version.
        """
        values: dict[str, Any] = {}
        for raw, value in fields.items():
            name = raw.decode("ascii", "replace")
            if name not in cls.model_fields:
                continue
            values[name] = value if name == "audio" else _text(name, value)
        check_version("the entry", values.get("v", "missing"), SCHEMA)
        if len(values.get("audio", b"")) > max_audio:
            raise BadEntry(f"the entry's audio has more than {max_audio} bytes")
        try:
            utterance = cls.model_validate(values)
        except ValidationError as error:
            raise BadEntry(f"the entry's {explain(error)}") from None
        if not utterance.turn:
            raise BadEntry("the entry has no turn: it was added to the stream without `publish`")
        return utterance


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadEntry(f"the entry's field {name} is not UTF-8") from None
