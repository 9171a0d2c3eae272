"""What is counted of a turn: each event once, latencies from the end of speech, in seconds."""

from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from common.telemetry.metrics import count_changes
from common.telemetry.turn_changes import TurnChange, What
from tests.support.metric_samples import growth

TURN = TurnChange(
    what="reply",
    session="ada",
    turn=1,
    utterance="u1",
    at=12_500,
    spoken=10_000,
    published=11_000,
    stt_started=11_250,
    transcribed=11_750,
    llm_started=12_000,
    first_token=12_125,
    last_token=12_400,
)


def said(what: What, **changes: object) -> None:
    count_changes([replace(TURN, what=what, **changes)])  # type: ignore[arg-type]  # fields by their names


@pytest.mark.parametrize("event", ["heard", "transcript", "reply", "skipped", "error"])
def test_every_event_is_counted(event: What) -> None:
    events = growth("earshot_turns_total", event=event)
    said(event, reason="noise")
    assert events() == 1


def test_what_is_no_event_is_not_counted_as_one() -> None:
    events = growth("earshot_turns_total", event="transcribed")
    said("transcribed")
    said("published")
    said("committed")
    assert events() == 0


def test_a_reply_has_its_latencies_and_tokens() -> None:
    first = growth("earshot_speech_to_first_token_seconds_sum")
    done = growth("earshot_speech_to_done_seconds_sum")
    wait = growth("earshot_queue_wait_seconds_sum", stage="llm")
    took = growth("earshot_stage_duration_seconds_sum", stage="llm")
    server = growth("earshot_llm_first_token_seconds_sum")
    prompt = growth("earshot_llm_tokens_total", kind="prompt")
    completion = growth("earshot_llm_tokens_total", kind="completion")
    said("reply", usage={"prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49})
    assert (first(), done()) == (2.125, 2.5)
    assert (wait(), took(), server()) == (0.25, 0.5, 0.125)
    assert (prompt(), completion()) == (40, 9)


def test_a_reply_without_a_token_has_no_time_to_the_first() -> None:
    first = growth("earshot_speech_to_first_token_seconds_count")
    server = growth("earshot_llm_first_token_seconds_count")
    said("reply", first_token=None)
    assert (first(), server()) == (0, 0)


def test_a_committed_draft_waits_for_the_llm_from_its_commit_on() -> None:
    wait = growth("earshot_queue_wait_seconds_sum", stage="llm")
    said("reply", published=10_250, transcribed=10_500, committed=11_875)
    assert wait() == 0.125


def test_stt_has_its_wait_and_its_duration() -> None:
    wait = growth("earshot_queue_wait_seconds_sum", stage="stt")
    took = growth("earshot_stage_duration_seconds_sum", stage="stt")
    said("transcribed", at=11_750)
    assert (wait(), took()) == (0.25, 0.5)


def test_the_producer_has_the_time_until_it_is_final() -> None:
    took = growth("earshot_stage_duration_seconds_sum", stage="listen")
    said("published")
    said("committed", at=10_500)
    assert took() == 1.5


def test_a_transcript_counts_from_the_end_of_speech_to_when_it_was_shown() -> None:
    latency = growth("earshot_speech_to_transcript_seconds_sum")
    said("transcript", at=11_750)
    assert latency() == 1.75


def test_skips_have_their_reason() -> None:
    noise = growth("earshot_skips_total", reason="noise")
    merged = growth("earshot_skips_total", reason="merged")
    said("skipped", reason="noise")
    assert (noise(), merged()) == (1, 0)


def test_no_series_names_a_session() -> None:
    said("reply")
    labels = {
        label
        for family in REGISTRY.collect()
        if family.name.startswith("earshot_")
        for sample in family.samples
        for label in sample.labels
    }
    assert labels <= {"event", "reason", "stage", "kind", "outcome", "verdict", "at", "le", "limit"}
