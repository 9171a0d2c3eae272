"""The spans of a turn, made from what the transitions report, by pure functions.

            |--------------------------------- turn ----------------------------------|
    listen  |-speech-|-silence-|-outbox-|      or, sent early, |-speech-|-pause-|-confirm-|
    stt                                 |-wait-|-transcribe-|
    llm                                                     |-wait-|-generate-|-settle-|

All times are the Redis server's, so that no host's clock makes a gap or an overlap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from common.telemetry.turn_changes import TurnChange
from common.traceparent import TraceParent, attempt_span_id, parse_traceparent, turn_context

ENDINGS: Final = frozenset({"reply", "skipped", "error"})


@dataclass(frozen=True, slots=True)
class Span:
    """One span. `start`, `end` and the events are ms of the Redis server's clock.

    `id` and `parent` are span ids. A span without an `id` gets a random one; a span without a
    `parent` is the root of its trace. `error` says what went wrong, if anything did.
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


def make_spans(changes: Sequence[TurnChange]) -> Iterator[Span]:
    """Yield the spans that end with the changes of one transition."""
    for change in changes:
        given, turn = (
            parse_traceparent(change.traceparent),
            turn_context(change.traceparent, change.utterance),
        )
        if given is None or turn is None or not given.sampled:
            continue
        attributes = span_attributes(change.session, change.turn, change.utterance)
        for name, start, end in _stages(change):
            yield Span(name, turn.trace, turn.span, start, max(start, end), attributes=attributes)
        if change.what == "reply" and change.llm_started is not None:
            yield Span(
                "llm.generate",
                turn.trace,
                turn.span,
                change.llm_started,
                max(change.llm_started, change.last_token or 0),
                id=attempt_span_id(turn.trace, change.utterance, change.attempt),
                events={"first_token": change.first_token} if change.first_token else {},
                links=_merged_turns(change, changes),
                attributes=attributes | {"earshot.attempt": change.attempt},
            )
        if change.what in ENDINGS:
            yield Span(
                "turn",
                turn.trace,
                # a trace that another program began has its span above ours; our own begins here
                "" if given.span == turn.span else given.span,
                change.spoken - change.length_ms,
                max(change.spoken - change.length_ms, change.at),  # the clock may step back
                id=turn.span,
                error=change.reason if change.what == "error" else "",
                events={"end_of_speech": change.spoken},
                links=_answering_turns(change, changes),
                attributes=attributes | _ending_attributes(change),
            )


def span_attributes(session: str, turn: int, utterance: str) -> dict[str, str | int]:
    """Return the attributes by which people search for a span."""
    return {
        "earshot.session": session,
        "earshot.turn": turn,
        "earshot.utterance": utterance,
    }


def _ending_attributes(change: TurnChange) -> dict[str, str | int]:
    reason: dict[str, str | int] = {"earshot.reason": change.reason} if change.reason else {}
    return reason | {"earshot.ending": change.what}


def _stages(change: TurnChange) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and end of the simple spans; each starts where the one before it ended."""
    match change.what:
        case "published":
            yield from _speech(change)
            heard = min(change.spoken + change.silence_ms, change.published)
            if change.silence_ms:
                yield "listen.silence", change.spoken, heard
            yield "listen.outbox", heard, change.published
        case "committed" if change.committed is not None:
            yield from _speech(change)
            yield "listen.pause", change.spoken, change.published
            yield "listen.confirm", change.published, change.committed
        case "transcribed" if change.stt_started is not None and change.transcribed is not None:
            yield "stt.wait", change.published, change.stt_started
            yield "stt.transcribe", change.stt_started, change.transcribed
        case "reply" if change.llm_started is not None:
            yield "llm.wait", change.ready, change.llm_started
            yield "llm.settle", change.last_token or change.llm_started, change.at


def _speech(change: TurnChange) -> Iterator[tuple[str, int, int]]:
    if change.length_ms:
        yield "listen.speech", change.spoken - change.length_ms, change.spoken


def _answering_turns(change: TurnChange, changes: Sequence[TurnChange]) -> tuple[TraceParent, ...]:
    """Return the turn with which a merged turn was answered."""
    return _contexts(other for other in changes if other.turn == change.into)


def _merged_turns(change: TurnChange, changes: Sequence[TurnChange]) -> tuple[TraceParent, ...]:
    """Return the turns that were answered with this one."""
    return _contexts(other for other in changes if other.into == change.turn)


def _contexts(changes: Iterator[TurnChange]) -> tuple[TraceParent, ...]:
    contexts = (turn_context(change.traceparent, change.utterance) for change in changes)
    return tuple(context for context in contexts if context is not None)
