"""W3C trace context: the one line that ties the spans of a turn together, in whatever process.

    00-<trace id, 32 hexadecimal digits>-<span id, 16>-<flags, 2>

(https://www.w3.org/TR/trace-context/)

A turn's own span has an id that follows from its trace and its utterance, so that every process
can hang its spans below it without asking anybody, and whoever ends the turn can make it.
"""

import hashlib
import re
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

SAMPLED: Final = 1

FORM: Final = r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})"
_NEITHER: Final = frozenset({"0" * 32, "0" * 16})  # ids that the specification forbids

current: ContextVar[str] = ContextVar("traceparent", default="")
"""What a request to another server that is made here carries; empty: nothing."""


@dataclass(frozen=True, slots=True)
class TraceParent:
    """One of them, parsed. `span` is whose children are meant; ids in hexadecimal digits."""

    trace: str
    span: str
    flags: int = SAMPLED

    @property
    def sampled(self) -> bool:
        """Whether whoever began the trace wants it recorded."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{self.flags:02x}"


def parse(text: str) -> TraceParent | None:
    """None for what is no usable trace context, which the specification has us ignore."""
    form = re.fullmatch(FORM, text)
    if form is None or form[1] == "ff" or _NEITHER & {form[2], form[3]}:
        return None
    return TraceParent(form[2], form[3], int(form[4], 16))


def begin(utterance: str) -> str:
    """The trace context of a turn that begins here: its trace follows from the utterance's id."""
    trace = hashlib.sha256(utterance.encode()).hexdigest()[:32]
    return str(TraceParent(trace, turn_span(trace, utterance)))


def turn_span(trace: str, utterance: str) -> str:
    """The id of the span that stands for an utterance's turn."""
    return _id(trace, utterance)


def attempt_span(trace: str, utterance: str, attempt: int) -> str:
    """The id of the span of one attempt at an answer, below which the LLM server works."""
    return _id(trace, utterance, str(attempt))


def of_turn(text: str, utterance: str) -> TraceParent | None:
    """Where the spans of a turn hang; None if it is not traced."""
    context = parse(text)
    if context is None:
        return None
    return replace(context, span=turn_span(context.trace, utterance))


def _id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def trace_of(text: str) -> str:
    """The trace id, for people and logs; empty if there is none."""
    parsed = parse(text)
    return parsed.trace if parsed else ""
