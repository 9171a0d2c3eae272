"""Playing a recording at the speed of speech, as a microphone would have delivered it."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE


class Pace:
    """The schedule of one recording: the start plus the samples so far, so delays do not add up.

    `clock` and `sleep` are in seconds; by default `closed` ends a sleep.
    """

    def __init__(
        self,
        closed: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._closed = closed
        self._clock = clock
        self._sleep = sleep or closed.wait
        self._start: float | None = None

    def play(self, frames: Iterator[NDArray[np.int16]]) -> Iterator[NDArray[np.int16]]:
        """Yield each frame no earlier than its last sample would have been recorded."""
        start = self._start = self._clock()
        samples = 0
        for frame in frames:
            samples += len(frame)
            early = start + samples / SAMPLE_RATE - self._clock()
            if early > 0:
                self._sleep(early)
            if self._closed.is_set():
                return
            yield frame

    def position_now(self) -> int:
        """Return how many samples would have been recorded by now."""
        return 0 if self._start is None else round((self._clock() - self._start) * SAMPLE_RATE)
