"""An energy gate: it tells which frames stand out of a noise floor that it follows."""

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.sources.level import rms_dbfs

FLOOR_WINDOW_S: Final = 3.0
"""The floor is the quietest smoothed level of this time. Fluent speech pauses more often, and a fan
that starts is part of the floor after it."""
LOWEST_FLOOR_DBFS: Final = -66.0
"""A quieter room counts as this loud, so that the last bit of a muted microphone is no speech."""
OPEN_DB: Final = 9.0
"""A frame this far above the floor opens the gate."""
CLOSE_DB: Final = 5.0
"""An open gate closes below this, so that weak endings of words stay inside."""
_SMOOTHING_S: Final = 0.09
"""Time constant of the level's average."""
_PARTS: Final = 12
"""Parts of the window, each with its minimum."""


class EnergyGate:
    """A judge of one stream's frames in their order, all of one length; it needs no clock."""

    def __init__(self, frame_samples: int) -> None:
        frame_s = frame_samples / SAMPLE_RATE
        self._weight = 1 - math.exp(-frame_s / _SMOOTHING_S)
        self._part_frames = max(round(FLOOR_WINDOW_S / _PARTS / frame_s), 1)
        # The minima of the window's parts give the same answer as all its frames, for less work.
        # Before the first frame the room counts as quiet: a speaker who begins at once is no noise.
        self._minima: deque[float] = deque([LOWEST_FLOOR_DBFS] * _PARTS, maxlen=_PARTS)
        self._part_minimum = math.inf
        self._part_length = 0
        self._smoothed: float | None = None
        self._is_open = False

    @property
    def floor_dbfs(self) -> float:
        """The noise floor now, dB of full scale."""
        return max(min(self._minima), LOWEST_FLOOR_DBFS)

    def is_loud(self, frame: NDArray[np.int16]) -> bool:
        """Return whether this frame stands out of the floor of the frames before it."""
        level = rms_dbfs(frame)
        self._is_open = level > self.floor_dbfs + (CLOSE_DB if self._is_open else OPEN_DB)
        self._update_floor(level)
        return self._is_open

    def _update_floor(self, level: float) -> None:
        if self._smoothed is None:
            self._smoothed = level
        self._smoothed += self._weight * (level - self._smoothed)
        self._part_minimum = min(self._part_minimum, self._smoothed)
        self._part_length += 1
        if self._part_length == self._part_frames:
            self._minima.append(self._part_minimum)
            self._part_minimum, self._part_length = math.inf, 0
