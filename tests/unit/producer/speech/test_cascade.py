"""The dear detector is asked only around what the cheap one takes for speech, and hears what came
right before it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from producer.sources.source import frame_samples
from producer.speech.cascade import LEAD_S, LINGER_S, CascadeDetector

FRAME = frame_samples(30)
LEAD = round(LEAD_S / 0.03)
LINGER = round(LINGER_S / 0.03)


class First:
    """Takes frames that are not zero for speech."""

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        return bool(frame.any())

    @property
    def is_sure(self) -> bool:
        return True


class Second:
    """Takes frames from `least` on for speech; remembers which frames it was asked about."""

    def __init__(self, least: int = 2) -> None:
        self._least = least
        self.asked: list[int] = []

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        self.asked.append(int(frame[0]))
        return bool(frame[0] >= self._least)

    @property
    def is_sure(self) -> bool:
        return self.asked[-1] > self._least


@pytest.fixture
def second() -> Second:
    return Second()


@pytest.fixture
def cascade(second: Second) -> CascadeDetector:
    return CascadeDetector(First(), second, FRAME)


def hear(cascade: CascadeDetector, *values: int) -> list[bool]:
    return [cascade.is_speech(np.full(FRAME, value, np.int16)) for value in values]


def test_silence_is_left_to_the_first(cascade: CascadeDetector, second: Second) -> None:
    assert not any(hear(cascade, *[0] * 1_000))
    assert second.asked == []


def test_the_second_decides(cascade: CascadeDetector) -> None:
    assert hear(cascade, 0, 1, 2, 1, 0, 2) == [False, False, True, False, False, True]


def test_it_wakes_with_what_came_before(cascade: CascadeDetector, second: Second) -> None:
    hear(cascade, *[0] * 100, 1)
    assert second.asked == [0] * LEAD + [1]


def test_it_is_asked_until_both_were_silent_for_a_while(
    cascade: CascadeDetector, second: Second
) -> None:
    hear(cascade, 2, *[0] * 1_000)
    assert second.asked == [2] + [0] * LINGER
    second.asked.clear()
    hear(cascade, *[0] * 100, 1)
    assert second.asked == [0] * LEAD + [1]


def test_it_is_asked_for_as_long_as_an_utterance_is_open() -> None:
    second = Second()
    cascade = CascadeDetector(First(), second, FRAME, silence_s=2.0)
    hear(cascade, 2, *[0] * 1_000)
    assert len(second.asked) == 1 + round(2.0 / 0.03)


def test_it_is_as_sure_as_the_second(cascade: CascadeDetector) -> None:
    hear(cascade, 2)
    assert not cascade.is_sure
    hear(cascade, 3)
    assert cascade.is_sure


def test_speech_that_the_first_misses_keeps_it_awake(second: Second) -> None:
    cascade = CascadeDetector(First(), Second(least=0), FRAME)
    assert all(hear(cascade, 1, *[0] * 200))
