"""The spans of a turn, made of what the transitions tell: pure.

            |--------------------------------- turn ----------------------------------|
    listen  |-speech-|-silence-|-outbox-|      or, sent early, |-speech-|-pause-|-confirm-|
    stt                                 |-wait-|-transcribe-|
    llm                                                     |-wait-|-generate-|-settle-|

All times are the Redis server's, so that no host's clock makes a gap or an overlap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from common.telemetry.turn_changes import Mark
from common.traceparent import TraceParent, attempt_span, of_turn, parse

ENDINGS: Final = frozenset({"reply", "skipped", "error"})


@dataclass(frozen=True, slots=True)
class Span:
    """One span. `start`, `end` and the events are ms of the Redis server's clock.

    `id` and `parent` are span ids; without an `id` one is made up, without a `parent` it is the
    root of its trace. `error` says what went wrong, if anything did.
    """

    name: str
    trace: str
    parent: str
    start: int
    end: int
    id: str = ""
    error: str = ""
    events: Mapping[str, int] = field(default_factory=dict)
    links: tuple[TraceParent, ...] = ()
    attributes: Mapping[str, str | int] = field(default_factory=dict)


def spans_of(marks: Sequence[Mark]) -> Iterator[Span]:
    """The spans that are over with the marks of one transition."""
    for mark in marks:
        given, turn = parse(mark.traceparent), of_turn(mark.traceparent, mark.utterance)
        if given is None or turn is None or not given.sampled:
            continue
        attributes = attributes_of(mark.session, mark.turn, mark.utterance)
        for name, start, end in _stages(mark):
            yield Span(name, turn.trace, turn.span, start, max(start, end), attributes=attributes)
        if mark.what == "reply" and mark.llm_started is not None:
            yield Span(
                "llm.generate",
                turn.trace,
                turn.span,
                mark.llm_started,
                mark.last_token or mark.llm_started,
                id=attempt_span(turn.trace, mark.utterance, mark.attempt),
                events={"first_token": mark.first_token} if mark.first_token else {},
                links=_merged(mark, marks),
                attributes=attributes | {"earshot.attempt": mark.attempt},
            )
        if mark.what in ENDINGS:
            yield Span(
                "turn",
                turn.trace,
                # what another program began stands above the turn; what we did is the turn itself
                "" if given.span == turn.span else given.span,
                mark.spoken - mark.length_ms,
                mark.at,
                id=turn.span,
                error=mark.reason if mark.what == "error" else "",
                events={"end_of_speech": mark.spoken},
                links=_answered(mark, marks),
                attributes=attributes | _ending(mark),
            )


def attributes_of(session: str, turn: int, utterance: str) -> dict[str, str | int]:
    """What makes a span findable."""
    return {
        "earshot.session": session,
        "earshot.turn": turn,
        "earshot.utterance": utterance,
    }


def _ending(mark: Mark) -> dict[str, str | int]:
    reason: dict[str, str | int] = {"earshot.reason": mark.reason} if mark.reason else {}
    return reason | {"earshot.ending": mark.what}


def _stages(mark: Mark) -> Iterator[tuple[str, int, int]]:
    """Stages that need no more than a name, each where the one before it ended."""
    match mark.what:
        case "published":
            yield from _speech(mark)
            heard = min(mark.spoken + mark.silence_ms, mark.published)
            if mark.silence_ms:
                yield "listen.silence", mark.spoken, heard
            yield "listen.outbox", heard, mark.published
        case "committed" if mark.committed is not None:
            yield from _speech(mark)
            yield "listen.pause", mark.spoken, mark.published
            yield "listen.confirm", mark.published, mark.committed
        case "transcribed" if mark.stt_started is not None and mark.transcribed is not None:
            yield "stt.wait", mark.published, mark.stt_started
            yield "stt.transcribe", mark.stt_started, mark.transcribed
        case "reply" if mark.llm_started is not None:
            yield "llm.wait", mark.ready, mark.llm_started
            yield "llm.settle", mark.last_token or mark.llm_started, mark.at


def _speech(mark: Mark) -> Iterator[tuple[str, int, int]]:
    if mark.length_ms:
        yield "listen.speech", mark.spoken - mark.length_ms, mark.spoken


def _answered(mark: Mark, marks: Sequence[Mark]) -> tuple[TraceParent, ...]:
    """The turn that a merged one was answered with."""
    return _contexts(other for other in marks if other.turn == mark.into)


def _merged(mark: Mark, marks: Sequence[Mark]) -> tuple[TraceParent, ...]:
    """The turns that were answered with this one."""
    return _contexts(other for other in marks if other.into == mark.turn)


def _contexts(marks: Iterator[Mark]) -> tuple[TraceParent, ...]:
    contexts = (of_turn(mark.traceparent, mark.utterance) for mark in marks)
    return tuple(context for context in contexts if context is not None)
