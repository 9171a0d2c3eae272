"""Playing a recording at the speed of speech, as a microphone would have delivered it."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE


def pace_frames(
    frames: Iterator[NDArray[np.int16]],
    closed: threading.Event,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] | None = None,
) -> Iterator[NDArray[np.int16]]:
    """Yield each frame no earlier than its last sample would have been recorded.

    The schedule is absolute (the start plus the samples so far), so late wake-ups do not add up.
    `clock` and `sleep` are in seconds; by default `closed` ends a sleep.
    """
    sleep = sleep or closed.wait
    start = clock()
    samples = 0
    for frame in frames:
        samples += len(frame)
        early = start + samples / SAMPLE_RATE - clock()
        if early > 0:
            sleep(early)
        if closed.is_set():
            return
        yield frame
