"""Sentences of the bundled recording, to play into a microphone."""

from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from ops.demo.recording_file import AUDIO, Sentence

MARGIN_S: Final = 0.5
LEAD_S: Final = 3
RATE: Final = 16_000


def spoken(sentence: Sentence) -> NDArray[np.int16]:
    """Return a sentence of the bundled recording and a second of silence after it."""
    audio, _ = soundfile.read(AUDIO, dtype="int16")
    start = round((sentence.start_s - MARGIN_S) * RATE)
    end = round((sentence.end_s + MARGIN_S) * RATE)
    return np.concatenate([audio[start:end], np.zeros(RATE, np.int16)])
