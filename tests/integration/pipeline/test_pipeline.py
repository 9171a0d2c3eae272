"""Speech in a file, at any rate, or in a pipe, comes out as transcripts and replies: each role its
own process, with the real faster-whisper and real HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from ops.demo.recording_file import AUDIO, normalise, read_sentences
from tests.support.pipeline import Pipeline, endings, running_pipeline
from tests.support.waiting import until_sync

# The words are the speech model's business (ops/training/evaluate.py); here enough of them
# must come through that the audio was cut and carried well.
SHARE = 5 / 6


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as parts:
        yield parts


def transcripts(events: list[dict[str, object]]) -> list[str]:
    by_turn = sorted(
        (event for event in events if event["type"] == "transcript"),
        key=lambda event: int(str(event["turn"])),
    )
    return [normalise(event["data"]["text"]) for event in by_turn]  # type: ignore[index]  # JSON


def check_conversation(parts: Pipeline, session: str) -> None:
    spoken = [normalise(sentence.text) for sentence in read_sentences()]
    events = parts.wait_for_endings(session, len(spoken))
    heard = transcripts(events)
    assert sum(sentence in heard for sentence in spoken) >= SHARE * len(spoken), heard
    ends = [(event["turn"], event["type"]) for event in endings(events)]
    assert len(ends) == len({turn for turn, _ in ends}) == len(spoken)
    assert "error" not in {kind for _, kind in ends}
    answered = [turn for turn, kind in ends if kind == "reply"]
    assert answered == sorted(answered)


def test_a_file_is_heard_transcribed_and_answered(parts: Pipeline) -> None:
    done = parts.run("listen", "--input", str(AUDIO), "--session", "plain")
    assert done.returncode == 0, done.stderr.decode()
    check_conversation(parts, "plain")


def test_the_cough_that_webrtc_hears_is_skipped_aloud(parts: Pipeline) -> None:
    done = parts.run("listen", "--input", str(AUDIO), "--session", "cough", "--vad", "webrtc")
    assert done.returncode == 0, done.stderr.decode()
    assert b"Skipped short segment (" in done.stderr
    check_conversation(parts, "cough")


def test_a_44100_hz_stereo_file_works_as_well(parts: Pipeline, tmp_path: Path) -> None:
    audio, rate = soundfile.read(AUDIO, dtype="float32")
    left = soxr.resample(audio, rate, 44_100)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([left, 0.8 * left], axis=1), 44_100)
    done = parts.run("listen", "--input", str(path), "--session", "stereo")
    assert done.returncode == 0, done.stderr.decode()
    check_conversation(parts, "stereo")


def test_raw_pcm_comes_in_by_a_pipe(parts: Pipeline) -> None:
    audio, _ = soundfile.read(AUDIO, dtype="int16")
    done = parts.run("listen", "--input", "-", "--session", "pipe", stdin=audio.tobytes())
    assert done.returncode == 0, done.stderr.decode()
    check_conversation(parts, "pipe")


def test_a_text_turn_is_answered_and_remembered(parts: Pipeline) -> None:
    for turn, text in enumerate(["my name is Ada", "what is my name"], start=1):
        assert parts.run("say", text, "--session", "typed").returncode == 0
        events = parts.wait_for_endings("typed", turn)
    replies = [event for event in events if event["type"] == "reply"]
    assert [event["turn"] for event in replies] == [1, 2]
    assert "Ada" in replies[1]["data"]["text"]
    messages = parts.stand_in.requests()[-1].messages
    roles = [message["role"] for message in messages]
    assert roles == ["system", "user", "assistant", "user"]


def test_status_lists_the_workers(parts: Pipeline) -> None:
    def status() -> Any:
        return json.loads(parts.run("status", "--json").stdout)

    until_sync(lambda: {worker["role"] for worker in status()["workers"]} == {"stt", "llm"})
    assert status()["dead_letters"] == 0
