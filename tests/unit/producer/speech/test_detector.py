"""WebRTC's detector tells sound made like speech from a quiet room, at every frame length."""

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import BadInput
from producer.sources.source import Framer, frame_samples
from producer.speech.detector import WebRtcDetector
from tests.support.speechlike import room_noise, speechlike


def share_voiced(detector: WebRtcDetector, audio: NDArray[np.int16], frame_ms: int) -> float:
    framer = Framer(frame_samples(frame_ms))
    return float(np.mean([detector.is_speech(frame) for frame in framer.push(audio)]))


@pytest.mark.parametrize("frame_ms", [10, 20, 30])
@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_speech_is_told_from_a_quiet_room(mode: int, frame_ms: int) -> None:
    detector = WebRtcDetector(mode, frame_ms)
    assert share_voiced(detector, room_noise(1.2), frame_ms) < 0.2
    assert share_voiced(detector, speechlike(1.2), frame_ms) > 0.9
    share_voiced(detector, room_noise(0.6), frame_ms)  # WebRTC lets speech ring on for a while
    assert share_voiced(detector, room_noise(1.2), frame_ms) < 0.1


def test_detectors_do_not_share_what_they_heard() -> None:
    one, other = WebRtcDetector(), WebRtcDetector()
    before = share_voiced(one, speechlike(0.3), 30)
    for _ in range(5):
        share_voiced(one, room_noise(1, level=0.2), 30)
    assert share_voiced(other, speechlike(0.3), 30) == before


@pytest.mark.parametrize("mode", [-1, 4])
def test_an_unknown_mode_is_refused(mode: int) -> None:
    with pytest.raises(BadInput, match=f"no mode {mode}; choose 0"):
        WebRtcDetector(mode)


def test_an_unknown_frame_length_is_refused() -> None:
    with pytest.raises(BadInput, match="25 ms cannot be judged; choose 10, 20 or 30 ms"):
        WebRtcDetector(2, 25)


@pytest.mark.parametrize(
    "frame", [np.zeros(320, np.int16), np.zeros(480, np.float32), np.zeros((480, 1), np.int16)]
)
def test_a_frame_of_another_kind_is_refused(frame: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match="480 int16 samples expected"):
        WebRtcDetector(2, 30).is_speech(frame)
