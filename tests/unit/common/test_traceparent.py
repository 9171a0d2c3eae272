"""W3C trace context: what is no such thing is ignored, and every process knows a turn's span."""

import pytest

from common.traceparent import (
    SAMPLED,
    attempt_span_id,
    begin_trace,
    parse_traceparent,
    trace_id,
    turn_context,
    turn_span_id,
)

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_example_of_the_specification_is_read_and_written() -> None:
    context = parse_traceparent(GIVEN)
    assert context is not None
    assert (context.trace, context.span) == (GIVEN[3:35], GIVEN[36:52])
    assert context.sampled
    assert str(context) == GIVEN
    unsampled = parse_traceparent(GIVEN[:-2] + "00")
    assert unsampled is not None
    assert not unsampled.sampled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        GIVEN.upper(),
        GIVEN + "-more",
        "ff" + GIVEN[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_what_is_none_is_ignored(text: str) -> None:
    assert parse_traceparent(text) is None
    assert turn_context(text, "u1") is None
    assert trace_id(text) == ""


def test_a_turn_that_begins_here_is_the_root_of_its_own_trace() -> None:
    context = parse_traceparent(begin_trace("u1"))
    assert context is not None
    assert context.flags == SAMPLED
    assert context.span == turn_span_id(context.trace, "u1")
    assert turn_context(begin_trace("u1"), "u1") == context
    assert begin_trace("u1") == begin_trace("u1") != begin_trace("u2")


def test_a_turn_of_another_program_hangs_below_what_was_given() -> None:
    turn = turn_context(GIVEN, "u1")
    assert turn is not None
    assert turn.trace == trace_id(GIVEN)
    assert turn.span == turn_span_id(turn.trace, "u1") != GIVEN[36:52]


def test_every_attempt_has_a_span_of_its_own() -> None:
    spans = {attempt_span_id("t", "u1", number) for number in range(3)} | {turn_span_id("t", "u1")}
    assert len(spans) == 4
    assert all(len(span) == 16 for span in spans)
