"""The LLM server is told where its spans belong, and an attempt that fails leaves a span."""

from collections.abc import Iterable

import pytest

from common import traceparent
from common.telemetry.spans import Span
from common.traceparent import attempt_span_id, begin_trace, parse_traceparent, trace_id
from common.transitions.answering import Attempt, TakenTurn
from workers.llm.attempt_traces import AttemptTraces

FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Recorder:
    is_on = True

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def record(self, spans: Iterable[Span]) -> None:
        self.spans += spans


class Clock:
    """Half a second passes between two looks."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def attempt(context: str) -> Attempt:
    turns = (TakenTurn(1, "u1", "hello", traceparent=begin_trace("u1")),) if context else ()
    last = TakenTurn(2, "u2", "there", traceparent=context)
    return Attempt("ada", "token", 1, 3, (*turns, last), (), started_at=1_000)


@pytest.mark.parametrize("context", [begin_trace("u2"), FOREIGN])
def test_requests_carry_the_span_of_the_attempt(context: str) -> None:
    recorder = Recorder()
    with AttemptTraces(recorder).trace(attempt(context)):
        sent = parse_traceparent(traceparent.current.get())
    assert sent is not None
    assert sent.trace == trace_id(context)
    assert sent.span == attempt_span_id(sent.trace, "u2", 3)
    assert traceparent.current.get() == ""
    assert recorder.spans == []


@pytest.mark.parametrize("context", [begin_trace("u2"), FOREIGN])
def test_without_traces_of_our_own_what_was_given_goes_on(context: str) -> None:
    with AttemptTraces().trace(attempt(context)):
        assert traceparent.current.get() == context


def test_who_came_without_a_trace_gets_none() -> None:
    with AttemptTraces(Recorder()).trace(attempt("")):
        assert traceparent.current.get() == ""


def test_a_failed_attempt_leaves_a_span_with_the_error() -> None:
    recorder = Recorder()
    with (
        pytest.raises(ValueError, match="no"),
        AttemptTraces(recorder, Clock()).trace(attempt(begin_trace("u2"))),
    ):
        raise ValueError("no")
    (span,) = recorder.spans
    assert (span.name, span.error) == ("llm.generate", "ValueError: no")
    assert (span.start, span.end) == (1_000, 1_500)
    assert span.id == attempt_span_id(span.trace, "u2", 3)
    assert traceparent.current.get() == ""


def test_a_trace_that_nobody_wants_recorded_leaves_none() -> None:
    recorder = Recorder()
    with (
        pytest.raises(ValueError, match="no"),
        AttemptTraces(recorder).trace(attempt(FOREIGN[:-2] + "00")),
    ):
        raise ValueError("no")
    assert recorder.spans == []
