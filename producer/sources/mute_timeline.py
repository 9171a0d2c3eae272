"""Where in a stream of samples the mute was on: by positions, not by when a frame is read.

An ear that lags reads frames long after they were recorded.
"""

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray


class MuteTimeline:
    """The places of one stream where the mute was turned, for its frames in their order."""

    def __init__(self, is_on: bool = False) -> None:
        self._lock = threading.Lock()
        self._switches: deque[tuple[int, bool]] = deque()  # ahead of what was read
        self._position = 0
        self.is_on = is_on
        """Whether the mute was on at the end of the latest frame."""

    @property
    def position(self) -> int:
        """How many samples were read."""
        return self._position

    def switch(self, position: int, is_on: bool) -> None:
        """Note that the mute is on, or off, from a position on; from any thread, in order.

        For what was read already it is too late: then it holds from the next frame on.
        """
        with self._lock:
            self._switches.append((position, is_on))

    def silence(self, frame: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the next frame with zeros where the mute was on."""
        with self._lock:
            start, end = self._position, self._position + len(frame)
            self._position = end
            heard, since = frame, start
            while self._switches and self._switches[0][0] < end:
                position, is_on = self._switches.popleft()
                position = max(position, since)
                heard = self._zeros(heard, frame, since - start, position - start)
                self.is_on, since = is_on, position
            return self._zeros(heard, frame, since - start, len(frame))

    def _zeros(
        self, heard: NDArray[np.int16], frame: NDArray[np.int16], begin: int, end: int
    ) -> NDArray[np.int16]:
        if not self.is_on or begin == end:
            return heard
        if heard is frame:  # which others may keep
            heard = frame.copy()
        heard[begin:end] = 0
        return heard
