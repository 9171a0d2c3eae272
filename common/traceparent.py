"""W3C trace context: one line that connects the spans of a turn across processes.

    00-<trace id, 32 hexadecimal digits>-<span id, 16>-<flags, 2>

(https://www.w3.org/TR/trace-context/)

The id of a turn's own span is computed from its trace and its utterance. So every process can put
its spans below it without asking anybody, and the process that ends the turn can make it.
"""

import hashlib
import re
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

SAMPLED: Final = 1

FORM: Final = r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})"
_FORBIDDEN_IDS: Final = frozenset({"0" * 32, "0" * 16})
"""Ids that the specification forbids."""

current: ContextVar[str] = ContextVar("traceparent", default="")
"""What requests to other servers from this task carry; empty: nothing."""


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A parsed trace context. `span` is the parent of what follows; ids in hexadecimal digits."""

    trace: str
    span: str
    flags: int = SAMPLED

    @property
    def sampled(self) -> bool:
        """Whether the program that began the trace wants it recorded."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{self.flags:02x}"


def parse_traceparent(text: str) -> TraceParent | None:
    """Return the trace context, or None for an unusable one, which the specification ignores."""
    form = re.fullmatch(FORM, text)
    if form is None or form[1] == "ff" or _FORBIDDEN_IDS & {form[2], form[3]}:
        return None
    return TraceParent(form[2], form[3], int(form[4], 16))


def begin_trace(utterance: str) -> str:
    """Return the trace context of a turn that begins here, computed from the utterance's id."""
    trace = hashlib.sha256(utterance.encode()).hexdigest()[:32]
    return str(TraceParent(trace, turn_span_id(trace, utterance)))


def turn_span_id(trace: str, utterance: str) -> str:
    """Return the id of the span of an utterance's turn."""
    return _hash_id(trace, utterance)


def attempt_span_id(trace: str, utterance: str, attempt: int) -> str:
    """Return the id of the span of one attempt at an answer, parent of the LLM server's spans."""
    return _hash_id(trace, utterance, str(attempt))


def turn_context(text: str, utterance: str) -> TraceParent | None:
    """Return the context that is the parent of a turn's spans; None if the turn is not traced."""
    context = parse_traceparent(text)
    if context is None:
        return None
    return replace(context, span=turn_span_id(context.trace, utterance))


def _hash_id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def trace_id(text: str) -> str:
    """Return the trace id, for people and logs; empty if there is none."""
    parsed = parse_traceparent(text)
    return parsed.trace if parsed else ""
