"""Pauses double up to their limit, and processes that failed together do not try again together."""

import random

import pytest

from common.backoff import Backoff, jitter


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Backoff(0.5, 3.0, spread=None)
    assert [pauses.next_pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_after_a_success_the_first_pause_comes_again() -> None:
    pauses = Backoff(0.5, 3.0, spread=None)
    pauses.next_pause()
    assert pauses.pause_s == 1.0
    pauses.reset()
    assert pauses.next_pause() == 0.5


def test_a_spread_pause_does_not_change_the_next_one() -> None:
    pauses = Backoff(1.0, 8.0, spread=lambda pause_s: pause_s / 4)
    assert [pauses.next_pause() for _ in range(3)] == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("pause_s", [0.1, 1.0, 15.0])
def test_jitter_halves_at_most_and_lengthens_never(pause_s: float) -> None:
    draw = random.Random(1).uniform
    drawn = [jitter(pause_s, draw) for _ in range(200)]
    assert all(pause_s / 2 <= value <= pause_s for value in drawn)
    assert len(set(drawn)) > 1
