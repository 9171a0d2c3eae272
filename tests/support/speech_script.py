"""A source that plays loud and silent frames from a script, and a detector for them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.closeable import Closeable

FRAME = SAMPLE_RATE * 30 // 1000
LOUD = 1_000
Frames = list[NDArray[np.int16]]


def _seconds(speech: bool, seconds: float) -> Frames:
    level = LOUD if speech else 0
    return [np.full(FRAME, level, np.int16) for _ in range(round(seconds * SAMPLE_RATE / FRAME))]


def speech(seconds: float) -> Frames:
    return _seconds(True, seconds)


def silence(seconds: float) -> Frames:
    return _seconds(False, seconds)


class LoudnessDetector:
    """A detector that calls every loud frame speech."""

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        return bool(np.abs(frame).max() >= LOUD)

    @property
    def is_sure(self) -> bool:
        return True


class SpeechScript(Closeable):
    """A source that yields the given frames, and then ends or fails."""

    name = "script"
    frame_samples = FRAME
    samples = 0

    def __init__(
        self, *parts: Frames, is_live: bool = False, failure: Exception | None = None
    ) -> None:
        self._frames = [frame for part in parts for frame in part]
        self._failure = failure
        self.is_live = is_live

    def close(self) -> None:
        self._frames.clear()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        yield from self._frames
        if self._failure is not None:
            raise self._failure
