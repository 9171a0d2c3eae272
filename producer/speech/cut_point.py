"""Where a too long utterance is cut: the place that most likely lies between two words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE

_SMOOTHING_S = 0.09
"""Energy is averaged over this long, so that the closure of a plosive inside a word (up to about
0.1 s, with sound on both sides) does not look quieter than a pause between two words."""


def find_cut_point(frames: Sequence[NDArray[np.int16]]) -> int:
    """The count of `frames` (at least 1) to keep before the cut, 1 to len(frames).

    The cut goes through the middle of the window with the least short-time energy (mean square);
    of equally quiet places the last one, so that the part before is as long as can be.
    """
    energy = np.array([np.mean(np.square(frame, dtype=np.float64)) for frame in frames])
    width = min(max(round(_SMOOTHING_S * SAMPLE_RATE / len(frames[0])), 1), len(frames))
    smoothed = np.convolve(energy, np.ones(width), "valid")
    start = len(smoothed) - 1 - int(np.argmin(smoothed[::-1]))
    return min(start + (width + 1) // 2, len(frames))
