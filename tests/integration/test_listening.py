"""Speech played into a (virtual) microphone comes out as the right transcript: PortAudio, detector,
segmenter, outbox, Redis and faster-whisper, each for real."""

from pathlib import Path

import numpy as np
import soundfile

from ops.demo.recording_file import AUDIO, normalised, sentences
from tests.integration.pipeline import pipeline, wait_until
from tests.integration.virtual_microphone import VirtualMicrophone

MARGIN_S = 0.5
LEAD_S = 3


def test_what_is_said_into_the_microphone_is_transcribed(tmp_path: Path) -> None:
    audio, rate = soundfile.read(AUDIO, dtype="int16")
    spoken = sentences()[:3]
    with (
        VirtualMicrophone() as microphone,
        pipeline(tmp_path) as parts,
        parts.running("listen", "--session", "mic", env=microphone.env),
    ):
        wait_until(
            lambda: [path.read_text() for path in tmp_path.glob("listen-*.log")],
            lambda logs: any("listening" in log for log in logs),
        )
        # a sound server gives a new client its first samples late
        microphone.play_samples(np.zeros(LEAD_S * rate, np.int16), rate)
        for sentence in spoken:
            start = round((sentence.start_s - MARGIN_S) * rate)
            end = round((sentence.end_s + MARGIN_S) * rate)
            quiet = np.zeros(rate, np.int16)
            microphone.play_samples(np.concatenate([audio[start:end], quiet]), rate)
        events = parts.wait_for_endings("mic", len(spoken))
    heard = [normalised(e["data"]["text"]) for e in events if e["type"] == "transcript"]
    assert heard == [normalised(sentence.text) for sentence in spoken]
    assert all(e["data"]["source"] == "default" for e in events if e["type"] == "heard")
