"""A detector that also measures how long somebody has been speaking, for the live line."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.speech.detector import Detector

HOLD_S: Final = 0.4
"""A gap between two words that is no longer than this counts as speaking."""


class SpeechTimer:
    """A detector with the verdicts of `detector`. One thread feeds it; any may read `seconds`."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._spoken = 0  # samples since this speaking began, gaps included
        self._gap = 0
        self.seconds: float | None = None
        """How long somebody has been speaking; None: nobody speaks."""

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        """Return whether this frame holds speech."""
        is_speech = self._detector.is_speech(frame)
        self._gap = 0 if is_speech else self._gap + len(frame)
        if is_speech or (self._spoken and self._gap <= HOLD_S * SAMPLE_RATE):
            self._spoken += len(frame)
            self.seconds = self._spoken / SAMPLE_RATE
        else:
            self._spoken, self.seconds = 0, None
        return is_speech

    @property
    def is_sure(self) -> bool:
        return self._detector.is_sure
