"""Each token comes when it is due, and a late machine catches up instead of falling behind."""

from __future__ import annotations

import pytest

from ops.demo.standin.pacing import Pace, release_on_time


class Clock:
    """A clock that sleeping moves; every sleep lasts `late_s` longer than it should."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now = 100.0
        self.late_s = late_s

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds + self.late_s


async def arrivals(pieces: str, pace: Pace, clock: Clock) -> list[tuple[float, str]]:
    """When each batch came, in s since the start, and what was in it."""
    batches = release_on_time(pieces, pace, monotonic=clock.monotonic, sleep=clock.sleep)
    return [(round(clock.now - 100.0, 6), "".join(batch)) async for batch in batches]


async def test_tokens_come_one_by_one_at_their_times() -> None:
    assert await arrivals("abc", Pace(0.5, 0.25), Clock()) == [
        (0.5, "a"),
        (0.75, "b"),
        (1.0, "c"),
    ]


async def test_a_late_machine_sends_several_at_once_and_ends_in_time() -> None:
    late = await arrivals("abcdefgh", Pace(0.5, 0.25), Clock(late_s=0.5))

    assert late[0] == (1.0, "abc")
    assert "".join(text for _, text in late) == "abcdefgh"
    assert late[-1][0] <= Pace(0.5, 0.25).due(7) + 0.5


async def test_without_tokens_the_wait_for_the_first_is_kept() -> None:
    clock = Clock()

    assert await arrivals("", Pace(0.5, 0.25), clock) == []
    assert clock.now == pytest.approx(100.5)


async def test_no_sleep_follows_the_last_token() -> None:
    clock = Clock()
    await arrivals("ab", Pace(0.5, 0.25), clock)

    assert clock.now == pytest.approx(100.75)
