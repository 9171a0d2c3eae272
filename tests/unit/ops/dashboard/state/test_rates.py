"""Throughput and durations are those of the events, in buckets by the server's clock, and what is
older than the charts is forgotten."""

import pytest

from common.events import EVENTS, Event, Timings
from ops.dashboard.state.rates import BUCKET_MS, BUCKETS, Rates, llm_durations, stt_durations

NOW = 1_000_000 * BUCKET_MS
TIMINGS = {
    "published": 1_000.0,
    "stt_started": 1_010.0,
    "transcribed": 1_110.0,
    "llm_started": 1_130.0,
    "first_token": 1_330.0,
    "done": 1_930.0,
}


def event(kind: str, at: int = NOW, **data: object) -> Event:
    return EVENTS.validate_python(
        {"v": 1, "type": kind, "session": "s", "epoch": 1, "turn": 1, "id": "u", "at": at,
         "data": data}
    )  # fmt: skip


def test_each_stage_takes_from_the_one_before_to_its_own_end() -> None:
    timings = Timings(**TIMINGS)
    assert dict(stt_durations(timings)) == {"stt_queue": 10, "stt": 100}
    assert dict(llm_durations(timings)) == {
        "llm_queue": 20,
        "first_token": 200,
        "rest": 600,
        "total": 1_930,
    }


def test_a_transcript_made_early_is_ready_when_the_silence_has_confirmed_it() -> None:
    early = Timings(
        published=250, stt_started=260, transcribed=400, committed=1_000, llm_started=1_005
    )
    assert dict(llm_durations(early)) == {"llm_queue": 5}


def test_what_is_not_known_counts_nowhere() -> None:
    assert dict(stt_durations(Timings())) == {}
    assert dict(llm_durations(Timings(llm_started=5))) == {}


def test_percentiles_and_throughput_by_bucket() -> None:
    rates = Rates()
    for ms in range(1, 101):
        rates.add(
            event(
                "transcript",
                text="x",
                timings={"published": 0, "stt_started": 0, "transcribed": ms},
            )
        )
    rates.add(event("reply", text="x", timings=TIMINGS, at=NOW))
    shown = rates.as_dict(NOW + 1)
    assert shown["times"][-1] == NOW // 1_000
    assert len(shown["times"]) == BUCKETS
    assert shown["per_minute"]["transcripts"][-1] == 600
    assert shown["per_minute"]["transcripts"][-2] == 0
    assert shown["p50"]["stt"][-1] == pytest.approx(50.5)
    assert shown["p95"]["stt"][-1] == pytest.approx(95.05, abs=0.1)
    assert shown["p50"]["stt"][-2] is None
    assert shown["over_all"]["total"] == {"count": 1, "p50": 1_930.0, "p95": 1_930.0}


def test_what_left_the_charts_is_forgotten_whatever_the_order() -> None:
    rates = Rates()
    for ago in (0, BUCKETS + 1, 1, BUCKETS - 1, 2 * BUCKETS):
        rates.add(event("error", NOW - ago * BUCKET_MS, stage="stt", reason="r", error="e"))
    errors = rates.as_dict(NOW)["per_minute"]["errors"]
    assert sum(errors) == 18
    assert errors[0] == errors[-1] == errors[-2] == 6
    rates.add(event("error", NOW + 3 * BUCKETS * BUCKET_MS, stage="stt", reason="r", error="e"))
    assert sum(rates.as_dict(NOW)["per_minute"]["errors"]) == 0
