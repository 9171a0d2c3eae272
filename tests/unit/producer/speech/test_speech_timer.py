"""Who watches sees since when somebody speaks, across the gaps between words."""

import numpy as np
import pytest

from producer.speech.speech_timer import HOLD_S, SpeechTimer
from tests.support.speech_script import FRAME, Frames, LoudnessDetector, silence, speech


def hear(speaking: SpeechTimer, frames: Frames) -> list[bool]:
    return [speaking.is_speech(frame) for frame in frames]


def test_it_judges_as_its_detector_does() -> None:
    speaking = SpeechTimer(LoudnessDetector())
    assert hear(speaking, speech(0.3) + silence(0.3)) == [True] * 10 + [False] * 10


def test_seconds_count_from_the_first_word_to_the_last() -> None:
    speaking = SpeechTimer(LoudnessDetector())
    hear(speaking, silence(1))
    assert speaking.seconds is None
    hear(speaking, speech(0.9) + silence(HOLD_S / 2) + speech(0.3))
    assert speaking.seconds == pytest.approx(1.2 + HOLD_S / 2, abs=FRAME / 16_000)
    hear(speaking, silence(2 * HOLD_S))
    assert speaking.seconds is None
    hear(speaking, [np.full(FRAME, 2_000, np.int16)])
    assert speaking.seconds == pytest.approx(FRAME / 16_000)
