"""Somebody who waits for a job sees why the job waits; a log file is not filled with it."""

from typing import Any

import pytest

from ops.cli.jobs.bars import Bars
from ops.cli.jobs.listing import Listed

HELD_UP = {"duration_s": 100.0, "done_s": 25.0, "held_up": "the session has 100 unanswered turns"}
SENTENCE = "waits for room: the session has 100 unanswered turns"


def test_a_recording_at_a_limit_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars({"job": "talk.mp3"}) as bars:
        for progress in ({}, HELD_UP, {}, HELD_UP | {"held_up": "the backlog is full"}, {}):
            bars.show("job", "in work", progress)
        bars.show("job", "done", {})
    assert capsys.readouterr().err.splitlines() == [
        "talk.mp3: in work",
        f"talk.mp3: {SENTENCE}",
        "talk.mp3: done",
    ]


def test_what_a_person_can_mend_comes_before_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars({"job": "talk.mp3"}) as bars:
        bars.show("job", "in work", HELD_UP | {"waits_for": "no STT worker takes recordings"})
    assert capsys.readouterr().err == "talk.mp3: no STT worker takes recordings\n"


@pytest.mark.parametrize(
    ("progress", "far"),
    [
        (HELD_UP, f"25%, {SENTENCE}"),
        ({"held_up": HELD_UP["held_up"]}, SENTENCE),
        (HELD_UP | {"waits_for": "a worker"}, "25%, waits: a worker"),
        ({}, ""),
    ],
)
def test_the_list_of_jobs_says_why_a_job_waits(progress: dict[str, Any], far: str) -> None:
    job = Listed("1", "transcribe", "/r/talk.mp3", "in work", progress, "2026-11-28T01:02", "")
    assert job.cells()[3] == far
