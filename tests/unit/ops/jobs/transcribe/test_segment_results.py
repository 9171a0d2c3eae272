"""An utterance's id says which segment of which run it is; its events say what became of it."""

import pytest

from common.errors import BadEntry
from common.events import Event, parse_event
from ops.jobs.transcribe.segment_results import SegmentResults, span_of, utterance_id
from ops.jobs.transcribe.transcript import FailedSegment, Line, SegmentText, Span

RUN = "0123456789abcdef"
SPAN = Span(16_000, 32_000)


def event(kind: str, data: str, utterance: str = utterance_id(RUN, SPAN, 0)) -> Event:
    fields = {"v": "1", "type": kind, "session": "s", "epoch": "1", "turn": "1", "at": "1"}
    named = fields | {"id": utterance, "data": data}
    return parse_event({name.encode(): value.encode() for name, value in named.items()})


@pytest.mark.parametrize("attempt", [0, 1, 12])
def test_an_id_names_its_segment_whichever_attempt_it_is(attempt: int) -> None:
    assert span_of(RUN, utterance_id(RUN, SPAN, attempt)) == SPAN


@pytest.mark.parametrize(
    "foreign",
    ["", RUN, f"{RUN}.1", f"{RUN}.a.2", f"{RUN}.1.2.3.4", "feedfeedfeedfeed.1.2", f"{RUN}.1.-2"],
)
def test_other_ids_are_no_segments(foreign: str) -> None:
    assert span_of(RUN, foreign) is None


def test_a_transcript_stands_though_its_turn_ends_as_skipped() -> None:
    results = SegmentResults(RUN)
    assert results.note(event("heard", '{"spoken_at": 1}')) is None
    assert results.note(event("transcript", '{"text": "Hi.", "language": "en"}')) == SPAN
    assert results.note(event("skipped", '{"reason": "transcript_only"}')) is None
    assert results.by_span == {SPAN: SegmentText((Line(1.0, 3.0, "Hi."),), "en", "")}


def test_noise_holds_nothing_and_an_error_is_a_hole() -> None:
    results = SegmentResults(RUN)
    results.note(event("skipped", '{"reason": "noise"}'))
    assert results.by_span == {SPAN: SegmentText()}
    results = SegmentResults(RUN)
    lost = '{"stage": "stt", "reason": "poison", "error": "it broke"}'
    results.note(event("error", lost))
    assert results.by_span == {SPAN: FailedSegment(1.0, 3.0, "it broke")}


def test_a_forgotten_session_is_said() -> None:
    with pytest.raises(BadEntry, match="forgotten"):
        SegmentResults(RUN).note(event("skipped", '{"reason": "forgotten"}'))
