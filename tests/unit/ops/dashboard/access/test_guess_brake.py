"""Guessing the token is slow, from one address and from many, one after the other and side by side;
and whoever has the token gets in meanwhile. What is remembered of guessers stays small."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest
from structlog.testing import capture_logs

from ops.dashboard.access import guess_brake
from ops.dashboard.access.guess_brake import (
    ADDRESSES,
    EVERYBODY_PAUSE_S,
    FORGET_S,
    FREE,
    KNOWN_PAUSE_S,
    LONGEST_PAUSE_S,
    WAITING_OF_ALL,
    WAITING_OF_ONE,
    GuessBrake,
    TooManyGuesses,
    visitor_of,
)

MINUTES_S: Final = 300.0


class Clock:
    """A clock that goes on when everybody sleeps: to the first one who wakes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        awake = asyncio.Event()
        self._sleepers.append((self.now + seconds, awake))
        await awake.wait()

    async def run_until(self, end: float) -> None:
        while True:
            for _ in range(20):  # whoever is awake goes on until it sleeps
                await asyncio.sleep(0)
            due = min((one for one in self._sleepers if one[0] <= end), default=None,
                      key=lambda one: one[0])  # fmt: skip
            if due is None:
                self.now = end
                return
            self._sleepers.remove(due)
            self.now = due[0]
            due[1].set()


class Attack:
    """Guessers who send the next wrong token as soon as one is answered, `width` side by side."""

    def __init__(self, brake: GuessBrake, clock: Clock) -> None:
        self.looked_at = 0
        self._brake = brake
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, address: Callable[[int], str], *, width: int) -> None:
        self._tasks += [
            asyncio.create_task(self._guess(address, number)) for number in range(width)
        ]

    async def _guess(self, address: Callable[[int], str], number: int) -> None:
        while True:
            try:
                await self._brake.judge(address(number), self._look)
            except TooManyGuesses as error:
                await self._clock.sleep(error.retry_after_s / 2)  # who guesses is impatient
            number += 1_000

    def _look(self) -> bool:
        self.looked_at += 1
        return False

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def brake(clock: Clock) -> GuessBrake:
    return GuessBrake(clock=clock, sleep=clock.sleep)


async def enter(brake: GuessBrake, clock: Clock, address: str) -> float:
    """Send the right token; return how long it took."""
    began = clock.now
    looked_at: list[float] = []

    def look() -> bool:
        looked_at.append(clock.now)
        return True

    entering = asyncio.create_task(brake.judge(address, look))
    await clock.run_until(clock.now + LONGEST_PAUSE_S * 4)
    assert entering.result() is True
    return looked_at[0] - began


@pytest.mark.parametrize("width", [1, 5, 100])
async def test_one_address_guesses_slowly_however_many_connections_it_has(
    width: int, brake: GuessBrake, clock: Clock
) -> None:
    attack = Attack(brake, clock)
    attack.begin(lambda _: "192.0.2.1", width=width)
    await clock.run_until(MINUTES_S)
    await attack.end()
    assert attack.looked_at <= MINUTES_S / LONGEST_PAUSE_S + 10


@pytest.mark.parametrize("width", [1, 100])
async def test_many_addresses_together_guess_slowly(
    width: int, brake: GuessBrake, clock: Clock
) -> None:
    attack = Attack(brake, clock)
    attack.begin(lambda number: f"192.0.{number // 256 % 256}.{number % 256}", width=width)
    await clock.run_until(60)
    await attack.end()
    assert attack.looked_at <= 60 / EVERYBODY_PAUSE_S + 10


async def test_a_network_of_ipv6_is_one_visitor(brake: GuessBrake, clock: Clock) -> None:
    attack = Attack(brake, clock)
    attack.begin(lambda number: f"2001:db8::{number:x}", width=9)
    await clock.run_until(MINUTES_S)
    await attack.end()
    assert attack.looked_at <= MINUTES_S / LONGEST_PAUSE_S + 10


async def test_who_has_the_token_gets_in_while_others_guess(
    brake: GuessBrake, clock: Clock
) -> None:
    assert await enter(brake, clock, "198.51.100.7") == 0
    attack = Attack(brake, clock)
    attack.begin(lambda number: f"192.0.2.{number % 200}", width=100)
    await clock.run_until(clock.now + MINUTES_S)
    assert await enter(brake, clock, "198.51.100.7") == 0, "it is known, and has not guessed"
    new = WAITING_OF_ALL * 2 * EVERYBODY_PAUSE_S
    assert await enter(brake, clock, "198.51.100.8") <= new, "it has not guessed"
    await attack.end()


async def test_who_mistyped_waits_a_little_and_then_no_more(
    brake: GuessBrake, clock: Clock
) -> None:
    for _ in range(FREE):
        assert not await brake.judge("192.0.2.1", lambda: False)
    assert clock.now == 0
    assert await enter(brake, clock, "192.0.2.1") == 0
    for _ in range(6):
        mistyping = asyncio.create_task(brake.judge("192.0.2.1", lambda: False))
        await clock.run_until(clock.now + KNOWN_PAUSE_S)
        assert mistyping.result() is False, "the token has come from there: its pauses are short"
    assert await enter(brake, clock, "192.0.2.1") <= KNOWN_PAUSE_S
    for _ in range(5):
        assert await enter(brake, clock, "192.0.2.1") == 0, "a program goes on at its own pace"


async def test_a_token_that_waits_in_vain_is_not_looked_at(brake: GuessBrake, clock: Clock) -> None:
    for _ in range(FREE + 5):
        guessing = asyncio.create_task(brake.judge("192.0.2.1", lambda: False))
        await clock.run_until(clock.now + LONGEST_PAUSE_S)
        assert guessing.done()
    assert not await brake.judge("192.0.2.1", lambda: False)
    looked: list[bool] = []

    def look() -> bool:
        looked.append(True)
        return False

    waiting = [asyncio.create_task(brake.judge("192.0.2.1", look)) for _ in range(WAITING_OF_ONE)]
    await clock.run_until(clock.now)
    with pytest.raises(TooManyGuesses, match="try again in") as refused:
        await brake.judge("192.0.2.1", look)
    assert refused.value.retry_after_s >= LONGEST_PAUSE_S
    assert not looked
    for task in waiting:  # a visitor that leaves is not waited for
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await clock.run_until(clock.now + LONGEST_PAUSE_S)
    assert not looked
    assert await enter(brake, clock, "192.0.2.1") == 0


async def test_it_is_logged_once_until_nobody_has_guessed_for_a_while(
    brake: GuessBrake, clock: Clock
) -> None:
    attack = Attack(brake, clock)
    with capture_logs() as logs:
        attack.begin(lambda number: f"192.0.2.{number % 250}", width=50)
        await clock.run_until(MINUTES_S)
        await attack.end()
        assert [line["event"] for line in logs] == ["token_guessed"]
        clock.now += FORGET_S + 1
        attack.begin(lambda _: "192.0.2.1", width=1)
        await clock.run_until(clock.now + 60)
        await attack.end()
    assert [line["event"] for line in logs] == ["token_guessed"] * 2


async def test_what_is_remembered_is_bounded_and_forgotten(
    brake: GuessBrake, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guess_brake, "EVERYBODY_PAUSE_S", 0.0)
    for number in range(3 * ADDRESSES):
        address = f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}"
        assert not await brake.judge(address, lambda: False)
        assert await brake.judge(f"{address}x", lambda: True)
    assert len(brake._guessers) <= ADDRESSES
    assert len(brake._known) <= ADDRESSES
    for _ in range(FREE + 1):
        await brake.judge("192.0.2.1", lambda: False)
    clock.now += FORGET_S + 1
    assert await enter(brake, clock, "192.0.2.1") == 0


@pytest.mark.parametrize(
    ("address", "visitor"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not an address", "not an address"),
        ("x" * 10_000, "x" * 64),
    ],
)
def test_whom_an_address_stands_for(address: str, visitor: str) -> None:
    assert visitor_of(address) == visitor
