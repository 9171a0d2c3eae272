"""Spans reach a collector as they are; one that is away is said once and holds nobody up."""

import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from common.telemetry import otlp
from common.telemetry.otlp import OtlpRecorder
from common.telemetry.spans import Span
from common.traceparent import TraceParent, begin_trace, parse_traceparent
from tests.support.otlp_receiver import OtlpReceiver, Received

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = Span(
    "turn",
    TRACE,
    "00f067aa0ba902b7",
    1_790_000_000_000,
    1_790_000_001_500,
    id="b7ad6b7169203331",
    events={"end_of_speech": 1_790_000_000_700},
    attributes={"earshot.session": "ada", "earshot.turn": 3},
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces"])
def test_a_span_arrives_as_it_is(receiver: OtlpReceiver, suffix: str) -> None:
    recorder = OtlpRecorder(receiver.endpoint + suffix, "stt", "stt-1")
    recorder.record([SPAN])
    recorder.close()
    assert receiver.wait_for(bool) == [
        Received(
            "earshot-stt",
            "turn",
            TRACE,
            "b7ad6b7169203331",
            "00f067aa0ba902b7",
            1_790_000_000_000,
            1_790_000_001_500,
            "",
            {"end_of_speech": 1_790_000_000_700},
            [],
            {"earshot.session": "ada", "earshot.turn": 3},
        )
    ]


def test_a_root_has_no_parent_an_error_its_words_and_a_link_its_span(
    receiver: OtlpReceiver,
) -> None:
    context = parse_traceparent(begin_trace("u1"))
    assert isinstance(context, TraceParent)
    recorder = OtlpRecorder(receiver.endpoint, "llm", "llm-1")
    recorder.record([Span("turn", TRACE, "", 1, 2, error="bad_audio", links=(context,))] * 2)
    recorder.close()
    first, second = receiver.wait_for(lambda spans: len(spans) == 2)
    assert (first.parent, first.error, first.links) == ("", "bad_audio", [context.span])
    assert first.id != second.id


def test_a_collector_that_fails_is_said_once_and_once_that_it_is_back(
    receiver: OtlpReceiver,
) -> None:
    receiver.status = 400
    with capture_logs() as lines:
        recorder = OtlpRecorder(receiver.endpoint, "stt", "stt-1")
        for asked in (1, 2, 3):
            recorder.record([SPAN])
            receiver.wait_for_requests(asked)
        receiver.status = 200
        recorder.record([SPAN])
        receiver.wait_for(bool)
        recorder.close()
    assert [line["event"] for line in lines] == ["traces_not_taken", "traces_taken_again"]


def test_leaving_is_not_held_up_by_a_collector_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(otlp, "CLOSE_S", 0.05)
    held, begun = threading.Event(), threading.Event()

    def shutdown() -> None:
        begun.set()
        held.wait()

    recorder = OtlpRecorder("http://127.0.0.1:1", "stt", "stt-1")
    monkeypatch.setattr(recorder._batches, "shutdown", shutdown)
    recorder.close()
    assert begun.is_set()
    assert not held.is_set(), "it was left while the last batch was being sent"
    held.set()
