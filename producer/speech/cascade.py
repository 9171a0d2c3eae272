"""Two detectors in a row: a cheap one decides when an expensive one is asked."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.speech.detector import Detector

LEAD_S: Final = 0.5
"""How much past audio the second detector gets when it wakes: it needs it to judge the first sounds
of a word."""
LINGER_S: Final = 1.0
"""How long the second one is asked, at least, after either of them last heard speech: while an
utterance is open it may hear a weak word that the first one misses."""


class CascadeDetector:
    """`first` judges every frame; `second` only around what `first` takes for speech, and decides.

    In a quiet room only `first` costs CPU time; in noise that `first` takes for speech, both do.
    `silence_s` is the silence that ends an utterance: `second` does not sleep before it is over.
    `second` keeps its memory while it sleeps: with an empty memory it takes three times as many
    voices in a crowd for somebody who speaks to it (docs/hearing.md).
    """

    def __init__(
        self, first: Detector, second: Detector, frame_samples: int, silence_s: float = 0.0
    ) -> None:
        frame_s = frame_samples / SAMPLE_RATE
        self._first = first
        self._second = second
        self._past: deque[NDArray[np.int16]] = deque(maxlen=round(LEAD_S / frame_s))
        self._linger = round(max(LINGER_S, silence_s) / frame_s)
        self._awake = 0  # frames for which the second one will still be asked

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        """Return whether this frame holds speech."""
        if self._first.is_speech(frame):
            if not self._awake:
                self._wake()
            self._awake = self._linger
        if not self._awake:
            self._past.append(frame)
            return False
        self._awake -= 1
        speech = self._second.is_speech(frame)
        if speech:
            self._awake = self._linger
        return speech

    @property
    def is_sure(self) -> bool:
        return self._second.is_sure

    def _wake(self) -> None:
        for frame in self._past:
            self._second.is_speech(frame)
        self._past.clear()
