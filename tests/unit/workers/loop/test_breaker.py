"""With its server unusable a worker takes nothing, asks now and then, and believes only work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from common.errors import Transient
from tests.unit.workers.loop.noted_pauses import note_pauses
from workers.loop import breaker as module
from workers.loop.breaker import Breaker, BreakerState


class Server:
    """What the probe finds: the errors in their order, then a usable server."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.probes = 0

    async def probe(self) -> None:
        self.probes += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between probes."""
    return note_pauses(monkeypatch, module)


def breaker_for(server: Server) -> tuple[Breaker, list[str | None]]:
    told: list[str | None] = []
    return Breaker(server.probe, told.append, max_pause_s=3.0), told


@asynccontextmanager
async def watching(breaker: Breaker) -> AsyncIterator[None]:
    task = asyncio.create_task(breaker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # the breaker tells nobody of every step
            await asyncio.sleep(0)


async def test_a_change_is_told_once_in_a_sentence() -> None:
    breaker, told = breaker_for(Server())
    breaker.report_failure("it is away")
    breaker.report_failure("it is away")
    assert breaker.state is BreakerState.OPEN
    assert told == ["it is away"]
    breaker.report_failure("it has no such model")
    assert told == ["it is away", "it has no such model"]


async def test_it_asks_until_the_server_answers_and_then_lets_one_piece_of_work_try(
    pauses: list[float],
) -> None:
    server = Server(Transient("still away"), Transient("still away"))
    breaker, told = breaker_for(server)
    async with watching(breaker):
        breaker.report_failure("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert server.probes == 3
    assert told == ["away", "still away"], "not usable before work has come through"


async def test_it_asks_less_and_less_often_down_to_a_limit(pauses: list[float]) -> None:
    breaker, _ = breaker_for(Server(*(Transient("away") for _ in range(5))))
    async with watching(breaker):
        breaker.report_failure("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


async def test_nobody_asks_a_server_that_works(pauses: list[float]) -> None:
    server = Server()
    breaker, _ = breaker_for(server)
    async with watching(breaker):
        for _ in range(20):
            await asyncio.sleep(0)
        breaker.report_failure("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
        for _ in range(20):
            await asyncio.sleep(0)
    assert server.probes == 1


async def test_work_that_came_through_ends_it_and_forgets_the_long_pauses(
    pauses: list[float],
) -> None:
    breaker, told = breaker_for(Server(Transient("away"), Transient("away")))
    async with watching(breaker):
        breaker.report_failure("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
        breaker.report_success()
        assert breaker.state is BreakerState.CLOSED
        assert told == ["away", None]
        pauses.clear()
        breaker.report_failure("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert pauses == [0.5]


async def test_a_trial_that_fails_opens_it_again_with_the_pause_it_had(
    pauses: list[float],
) -> None:
    breaker, told = breaker_for(Server(Transient("away"), Transient("away")))
    async with watching(breaker):
        breaker.report_failure("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
        breaker.report_failure("away")
        assert breaker.state is BreakerState.OPEN
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert pauses == [0.5, 1.0, 2.0, 3.0]
    assert told == ["away"], "it was unusable all the time"


async def test_a_late_success_from_before_does_not_close_it() -> None:
    breaker, _ = breaker_for(Server())
    breaker.report_failure("away")
    breaker.report_success()
    assert breaker.state is BreakerState.OPEN


async def test_a_probe_that_is_broken_itself_keeps_it_open(pauses: list[float]) -> None:
    breaker, told = breaker_for(Server(ValueError("what is this?")))
    async with watching(breaker):
        breaker.report_failure("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert told[1] is not None
    assert "what is this?" in told[1]
