"""Suspicious work runs alone: whatever it does to its process, no neighbour goes down with it."""

import asyncio
import random

import pytest

from workers.loop.gate import Gate


class Passage:
    """Somebody who goes through the gate, stays until told, and leaves."""

    def __init__(self, gate: Gate, *, alone: bool) -> None:
        self.inside = False
        self._leave = asyncio.Event()
        self._way = gate.exclusive() if alone else gate.shared()
        self.task = asyncio.create_task(self._go())

    async def _go(self) -> None:
        async with self._way:
            self.inside = True
            try:
                await self._leave.wait()
            finally:
                self.inside = False

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def line_up(gate: Gate) -> tuple[Passage, Passage]:
    """One who is inside, and a suspicious one who waits for it to leave."""
    before = Passage(gate, alone=False)
    await settled()
    suspicious = Passage(gate, alone=True)
    await settled()
    return before, suspicious


async def test_ordinary_work_runs_together() -> None:
    gate = Gate()
    first, second = Passage(gate, alone=False), Passage(gate, alone=False)
    await settled()
    assert first.inside
    assert second.inside
    await first.leave()
    await second.leave()


async def test_suspicious_work_waits_for_all_who_are_inside_and_keeps_newcomers_out() -> None:
    gate = Gate()
    before, suspicious = await line_up(gate)
    after = Passage(gate, alone=False)
    await settled()
    assert (before.inside, suspicious.inside, after.inside) == (True, False, False)
    await before.leave()
    await settled()
    assert (suspicious.inside, after.inside) == (True, False)
    await suspicious.leave()
    await settled()
    assert after.inside
    await after.leave()


async def test_it_tells_whether_somebody_wants_to_be_alone() -> None:
    gate = Gate()
    told = [gate.is_closed]
    before, suspicious = await line_up(gate)
    told.append(gate.is_closed)
    await before.leave()
    await settled()
    told.append(gate.is_closed)
    await suspicious.leave()
    told.append(gate.is_closed)
    assert told == [False, True, True, False]


async def test_two_suspicious_ones_go_one_after_the_other() -> None:
    gate = Gate()
    first, second = Passage(gate, alone=True), Passage(gate, alone=True)
    await settled()
    assert (first.inside, second.inside) == (True, False)
    await first.leave()
    await settled()
    assert second.inside
    await second.leave()


async def test_who_gives_up_waiting_to_be_alone_holds_nobody_up() -> None:
    gate = Gate()
    before, suspicious = await line_up(gate)
    after = Passage(gate, alone=False)
    suspicious.task.cancel()
    await settled()
    assert after.inside
    await before.leave()
    await after.leave()


@pytest.mark.parametrize("alone", [False, True])
async def test_a_failure_inside_leaves_the_gate_open(alone: bool) -> None:
    gate = Gate()

    async def fail() -> None:
        async with gate.exclusive() if alone else gate.shared():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    last = Passage(gate, alone=True)
    await settled()
    assert last.inside
    await last.leave()


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_order_whoever_is_alone_has_no_neighbour(seed: int) -> None:
    rng = random.Random(seed)
    gate = Gate()
    inside: list[bool] = []

    async def pass_through(alone: bool) -> None:
        for _ in range(rng.randrange(5)):
            await asyncio.sleep(0)
        async with gate.exclusive() if alone else gate.shared():
            inside.append(alone)
            for _ in range(rng.randrange(5)):
                assert not (len(inside) > 1 and any(inside))
                await asyncio.sleep(0)
            inside.remove(alone)

    tasks = [asyncio.create_task(pass_through(rng.random() < 0.3)) for _ in range(30)]
    for task in rng.sample(tasks, 5):
        task.cancel()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert not gate.is_closed
