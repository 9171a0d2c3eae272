"""A paced recording keeps an absolute schedule: late wake-ups do not add up."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from producer.sources.pacing import Pace

FRAME = 480  # 30 ms


class Clock:
    """A clock that only sleeping moves, and that oversleeps."""

    def __init__(self, oversleeps_s: float = 0.0) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self._oversleeps = oversleeps_s

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + self._oversleeps


def frames(count: int) -> Iterator[NDArray[np.int16]]:
    return (np.full(FRAME, index, np.int16) for index in range(count))


def test_a_frame_comes_when_its_last_sample_would_have_been_recorded() -> None:
    clock = Clock()
    heard = Pace(threading.Event(), clock=clock, sleep=clock.sleep).play(frames(100))
    times = [clock.now - 1_000 for _ in heard]
    assert times == pytest.approx([0.03 * (index + 1) for index in range(100)])


def test_oversleeping_is_made_up_for() -> None:
    clock = Clock(oversleeps_s=0.011)
    heard = list(Pace(threading.Event(), clock=clock, sleep=clock.sleep).play(frames(1_000)))
    assert len(heard) == 1_000
    assert clock.now - 1_000 == pytest.approx(30, abs=0.02)


def test_a_slow_reader_is_not_slowed_further() -> None:
    clock = Clock()
    for _ in Pace(threading.Event(), clock=clock, sleep=clock.sleep).play(frames(10)):
        clock.now += 0.05
    assert clock.slept == pytest.approx([0.03])


def test_closing_ends_it_during_a_sleep() -> None:
    closed = threading.Event()
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now > 1_000.1:
            closed.set()

    assert len(list(Pace(closed, clock=clock, sleep=sleep).play(frames(100)))) == 3
