"""The trace of an attempt at an answer, while nobody knows yet how it ends.

The transition makes the span of an attempt that ends in a reply (`common/telemetry/spans.py`),
under an id that was known before. This module passes the trace context to the LLM server, and
makes the spans of attempts that fail.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from common import traceparent
from common.redis.store import ms
from common.telemetry.spans import Span, span_attributes
from common.telemetry.tracing import OFF, Recorder
from common.transitions.answering import Attempt


class AttemptTraces:
    """The traces of one worker's attempts. `clock` counts seconds."""

    def __init__(self, recorder: Recorder = OFF, clock: Callable[[], float] = time.monotonic):
        self._recorder = recorder
        self._clock = clock

    @contextmanager
    def trace(self, attempt: Attempt) -> Iterator[None]:
        """Trace the work on an attempt: requests to the LLM server carry its trace context.

        Without traces of our own they carry the context that the turn came with, unchanged.
        """
        last = attempt.turns[-1]
        context = traceparent.turn_context(last.traceparent, last.utterance)
        if context is None:
            yield
            return
        structlog.contextvars.bind_contextvars(trace=context.trace)
        own = traceparent.attempt_span_id(context.trace, last.utterance, attempt.number)
        outgoing = str(replace(context, span=own)) if self._recorder.is_on else last.traceparent
        token, began = traceparent.current.set(outgoing), self._clock()
        try:
            yield
        except BaseException as error:
            if self._recorder.is_on and context.sampled:
                ended = attempt.started_at + ms(self._clock() - began)
                self._recorder.record([_failed(attempt, context, own, ended, error)])
            raise
        finally:
            traceparent.current.reset(token)


def _failed(
    attempt: Attempt, turn: traceparent.TraceParent, own: str, ended: int, error: BaseException
) -> Span:
    last = attempt.turns[-1]
    return Span(
        "llm.generate",
        turn.trace,
        turn.span,
        attempt.started_at,
        ended,
        id=own,
        error=f"{type(error).__name__}: {error}".removesuffix(": "),
        attributes=span_attributes(attempt.session, last.turn, last.utterance)
        | {"earshot.attempt": attempt.number},
    )
