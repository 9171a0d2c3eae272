"""Which frames stand out of the noise: an energy gate over a noise floor that it follows."""

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.sources.level import rms_dbfs

FLOOR_WINDOW_S: Final = 3.0
"""The floor is the quietest smoothed level of this long: fluent speech pauses more often, and a
fan that starts is learned within it."""
LOWEST_FLOOR_DBFS: Final = -66.0
"""Quieter rooms count as this quiet, so that a muted microphone's last bit is no speech."""
OPEN_DB: Final = 9.0
"""A frame this far above the floor opens the gate."""
CLOSE_DB: Final = 5.0
"""An open gate closes below this: weak endings of words stay inside."""
_SMOOTHING_S: Final = 0.09
_PARTS: Final = 12


class EnergyGate:
    """Judges the frames of one stream in their order; pure sample time, one frame length."""

    def __init__(self, frame_samples: int) -> None:
        frame_s = frame_samples / SAMPLE_RATE
        self._weight = 1 - math.exp(-frame_s / _SMOOTHING_S)
        self._part_frames = max(round(FLOOR_WINDOW_S / _PARTS / frame_s), 1)
        # minima of the parts of the window: the same answer as all its frames, for less work
        # and before the first frame it was quiet: who speaks at once is no noise
        self._minima: deque[float] = deque([LOWEST_FLOOR_DBFS] * _PARTS, maxlen=_PARTS)
        self._part_minimum = math.inf
        self._part_length = 0
        self._smoothed: float | None = None
        self._is_open = False

    @property
    def floor_dbfs(self) -> float:
        """The noise floor by now, dB of full scale."""
        return max(min(self._minima), LOWEST_FLOOR_DBFS)

    def is_loud(self, frame: NDArray[np.int16]) -> bool:
        """Whether this frame stands out of the floor that the frames before it made."""
        level = rms_dbfs(frame)
        self._is_open = level > self.floor_dbfs + (CLOSE_DB if self._is_open else OPEN_DB)
        self._follow(level)
        return self._is_open

    def _follow(self, level: float) -> None:
        if self._smoothed is None:
            self._smoothed = level
        self._smoothed += self._weight * (level - self._smoothed)
        self._part_minimum = min(self._part_minimum, self._smoothed)
        self._part_length += 1
        if self._part_length == self._part_frames:
            self._minima.append(self._part_minimum)
            self._part_minimum, self._part_length = math.inf, 0
