"""How loud audio is, in dB of full scale."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import FULL_SCALE

QUIETEST_DBFS: Final = -96.0
"""Digital silence counts as this: one step of 16 bits, 20 log10(1 / 32768), is about -90."""


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
