"""The place to cut a too long utterance: most likely between two words."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE

_SMOOTHING_S: Final = 0.09
"""Energy is averaged over this time, so that the closure of a plosive inside a word (up to about
0.1 s, with sound on both sides) does not look quieter than a pause between two words."""


def find_cut_point(frames: Sequence[NDArray[np.int16]]) -> int:
    """Return how many of `frames` (at least 1) to keep before the cut: 1 to len(frames).

    The cut goes through the middle of the window with the least short-time energy (mean square).
    Of equally quiet windows it takes the last one, so that the part before is as long as possible.
    """
    energy = np.array([np.mean(np.square(frame, dtype=np.float64)) for frame in frames])
    width = min(max(round(_SMOOTHING_S * SAMPLE_RATE / len(frames[0])), 1), len(frames))
    smoothed = np.convolve(energy, np.ones(width), "valid")
    start = len(smoothed) - 1 - int(np.argmin(smoothed[::-1]))
    return min(start + (width + 1) // 2, len(frames))
