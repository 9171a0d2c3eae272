"""The spans of a turn: they nest in the turn, follow one another without a gap, and say what went
wrong."""

from dataclasses import replace
from itertools import pairwise

from common.telemetry.spans import Span, make_spans
from common.telemetry.turn_changes import TurnChange
from common.traceparent import attempt_span_id, begin_trace, turn_context, turn_span_id

FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SPOKEN = 1_790_000_000_000

TURN = TurnChange(
    what="reply",
    session="ada",
    turn=3,
    utterance="u3",
    at=SPOKEN + 2_000,
    spoken=SPOKEN,
    published=SPOKEN + 1_050,
    stt_started=SPOKEN + 1_060,
    transcribed=SPOKEN + 1_500,
    llm_started=SPOKEN + 1_510,
    first_token=SPOKEN + 1_600,
    last_token=SPOKEN + 1_990,
    attempt=2,
    length_ms=2_400,
    silence_ms=1_000,
    traceparent=begin_trace("u3"),
)
EARLY = replace(
    TURN,
    published=SPOKEN + 260,
    stt_started=SPOKEN + 270,
    transcribed=SPOKEN + 600,
    committed=SPOKEN + 1_010,
    llm_started=SPOKEN + 1_020,
)


def spans(*changes: TurnChange) -> dict[str, Span]:
    return {span.name: span for span in make_spans(changes)}


def whole_turn(turn: TurnChange, final: str) -> dict[str, Span]:
    """All spans of a turn, made change by change as the processes do."""
    found: dict[str, Span] = {}
    for what in (final, "transcribed", "transcript", "reply"):
        found |= spans(replace(turn, what=what))  # type: ignore[arg-type]  # names of changes
    return found


def check_nesting(found: dict[str, Span]) -> None:
    turn = found.pop("turn")
    assert (turn.parent, turn.start, turn.end) == ("", SPOKEN - 2_400, SPOKEN + 2_000)
    assert turn.id == turn_span_id(turn.trace, "u3")
    for span in found.values():
        assert (span.trace, span.parent) == (turn.trace, turn.id)
        assert turn.start <= span.start <= span.end <= turn.end


def test_the_stages_of_a_turn_follow_one_another_without_a_gap() -> None:
    found = whole_turn(TURN, "published")
    check_nesting(dict(found))
    turn = found.pop("turn")
    stages = list(found.values())
    assert [span.name for span in stages] == [
        *("listen.speech", "listen.silence", "listen.outbox", "stt.wait", "stt.transcribe"),
        *("llm.wait", "llm.settle", "llm.generate"),
    ]
    stages.sort(key=lambda span: span.start)
    for before, after in pairwise(stages):
        assert before.end == after.start
    assert (stages[0].start, stages[-1].end) == (turn.start, turn.end)


def test_what_was_sent_early_is_transcribed_while_the_silence_lasts() -> None:
    found = whole_turn(EARLY, "committed")
    check_nesting(dict(found))
    assert "listen.outbox" not in found
    assert found["listen.pause"].end == found["stt.wait"].start == SPOKEN + 260
    assert found["listen.confirm"].end == found["llm.wait"].start == SPOKEN + 1_010
    assert found["stt.transcribe"].end < found["listen.confirm"].end


def test_the_answer_has_the_id_that_the_llm_server_was_told_and_its_first_token() -> None:
    answer = spans(TURN)["llm.generate"]
    assert answer.id == attempt_span_id(answer.trace, "u3", 2)
    assert answer.events == {"first_token": SPOKEN + 1_600}


def test_a_turn_of_another_program_hangs_below_its_span() -> None:
    found = spans(replace(TURN, traceparent=FOREIGN))
    assert found["turn"].parent == "00f067aa0ba902b7"
    assert found["turn"].id != "00f067aa0ba902b7"
    assert found["llm.generate"].parent == found["turn"].id


def test_who_is_not_traced_has_no_spans() -> None:
    for traceparent in ("", "nonsense", FOREIGN[:-2] + "00"):
        assert spans(replace(TURN, traceparent=traceparent)) == {}


def test_turns_that_were_answered_together_are_linked() -> None:
    merged = replace(TURN, what="skipped", turn=2, utterance="u2", reason="merged", into=3)
    merged = replace(merged, traceparent=begin_trace("u2"))
    found = list(make_spans([merged, TURN]))
    (into,) = next(span for span in found if span.name == "turn").links
    assert into == turn_context(TURN.traceparent, "u3")
    (of,) = next(span for span in found if span.name == "llm.generate").links
    assert of == turn_context(merged.traceparent, "u2")


def test_an_end_without_a_reply_says_why() -> None:
    skipped = spans(replace(TURN, what="skipped", reason="noise"))["turn"]
    assert (skipped.error, skipped.attributes["earshot.reason"]) == ("", "noise")
    failed = spans(replace(TURN, what="error", reason="bad_audio"))["turn"]
    assert failed.error == "bad_audio"
    assert failed.attributes["earshot.ending"] == "error"


def test_a_text_in_place_of_speech_has_no_speech() -> None:
    typed = replace(
        TURN, what="published", published=SPOKEN, length_ms=0, silence_ms=0, stt_started=None
    )
    assert list(spans(typed)) == ["listen.outbox"]
