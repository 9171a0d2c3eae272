"""How loud audio is, in dB of full scale."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import FULL_SCALE, SAMPLE_RATE

QUIETEST_DBFS: Final = -96.0
"""Digital silence counts as this: one step of 16 bits, 20 log10(1 / 32768), is about -90."""

WINDOW_S: Final = 0.5


def rms_dbfs(samples: NDArray[np.int16]) -> float:
    """Return the root mean square of any number of samples, QUIETEST_DBFS to 0 dB of full scale."""
    if not len(samples):
        return QUIETEST_DBFS
    wide = samples.astype(np.float64)
    return _dbfs(math.sqrt(float(np.dot(wide, wide)) / len(wide)))


def peak_dbfs(samples: NDArray[np.int16]) -> float:
    """Return the level of the largest sample, QUIETEST_DBFS to 0 dB of full scale."""
    return _dbfs(float(np.abs(samples.astype(np.int32)).max(initial=0)))


def _dbfs(value: float) -> float:
    return max(20 * math.log10(max(value, 1e-6) / FULL_SCALE), QUIETEST_DBFS)


class LoudestLevel:
    """The level of the loudest WINDOW_S of one stream: a voice lasts so long, and a click does not.

    All frames have the same length.
    """

    def __init__(self, frame_samples: int) -> None:
        self._frames = max(1, round(WINDOW_S * SAMPLE_RATE / frame_samples))
        self._window: list[NDArray[np.int16]] = []
        self.dbfs = QUIETEST_DBFS
        """Root mean square of the loudest window so far."""

    def push(self, frame: NDArray[np.int16]) -> None:
        """Take the next frame."""
        self._window.append(frame)
        if len(self._window) == self._frames:
            self.dbfs = max(self.dbfs, rms_dbfs(np.concatenate(self._window)))
            self._window.clear()
