"""Speech played into a (virtual) microphone comes out as the right transcript: PortAudio, detector,
segmenter, outbox, Redis and faster-whisper, each for real."""

from pathlib import Path
from typing import Any

import numpy as np

from ops.demo.recording_file import normalise, read_sentences
from tests.support.pipeline import running_pipeline
from tests.support.spoken_sentences import LEAD_S, RATE, spoken
from tests.support.virtual_microphone import VirtualMicrophone
from tests.support.waiting import until_sync


def wait_for_log(folder: Path, event: str) -> None:
    until_sync(
        lambda: [path.read_text() for path in folder.glob("listen-*.log")],
        lambda logs: any(f'"{event}"' in log for log in logs),
    )


def transcripts(events: list[dict[str, Any]]) -> list[str]:
    """In the order spoken."""
    heard = sorted((e for e in events if e["type"] == "transcript"), key=lambda e: int(e["turn"]))
    return [normalise(event["data"]["text"]) for event in heard]


def test_what_is_said_into_the_microphone_is_transcribed(tmp_path: Path) -> None:
    chosen = read_sentences()[:3]
    with (
        VirtualMicrophone() as microphone,
        running_pipeline(tmp_path) as parts,
        parts.running("listen", "--session", "mic", env=microphone.env),
    ):
        wait_for_log(tmp_path, "listening")
        # a sound server gives a new client its first samples late
        microphone.play_samples(np.zeros(LEAD_S * RATE, np.int16), RATE)
        for sentence in chosen:
            microphone.play_samples(spoken(sentence), RATE)
        events = parts.wait_for_endings("mic", len(chosen))
    assert transcripts(events) == [normalise(sentence.text) for sentence in chosen]
    assert all(e["data"]["source"] == "default" for e in events if e["type"] == "heard")


def test_what_is_said_before_and_after_the_sound_server_died_is_transcribed(
    tmp_path: Path,
) -> None:
    before, after = read_sentences()[0], read_sentences()[2]
    with (
        VirtualMicrophone() as microphone,
        running_pipeline(tmp_path) as parts,
        parts.running("listen", "--session", "mic", env=microphone.env),
    ):
        wait_for_log(tmp_path, "listening")
        microphone.play_samples(np.zeros(LEAD_S * RATE, np.int16), RATE)
        microphone.play_samples(spoken(before), RATE)
        parts.wait_for_endings("mic", 1)
        microphone.kill()
        wait_for_log(tmp_path, "microphone_lost")
        microphone.start()
        wait_for_log(tmp_path, "microphone_back")
        microphone.play_samples(np.zeros(LEAD_S * RATE, np.int16), RATE)
        microphone.play_samples(spoken(after), RATE)
        events = parts.wait_for_endings("mic", 2)
    assert transcripts(events) == [normalise(before.text), normalise(after.text)]
