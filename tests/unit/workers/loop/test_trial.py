"""A trial ends by itself: nobody waits for the one request that the worker has taken meanwhile."""

import pytest

from common.errors import Transient
from tests.unit.workers.loop.noted_pauses import note_pauses
from tests.unit.workers.loop.test_breaker import Server, breaker_for, until, watching
from workers.loop import breaker as module
from workers.loop.breaker import BreakerState


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return note_pauses(monkeypatch, module)


async def test_a_trial_in_which_nothing_succeeds_ends_and_nobody_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TRIAL_S", 0.01)
    server = Server()
    breaker, told = breaker_for(server)
    async with watching(breaker):
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.CLOSED)
    assert server.asked == 1
    assert told == ["away", None]


async def test_a_server_that_goes_away_during_the_trial_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TRIAL_S", 600.0)
    server = Server()
    breaker, told = breaker_for(server)
    async with watching(breaker):
        for time in (1, 2, 3):
            breaker.open("away")
            await until(lambda: breaker.state is BreakerState.TRIAL)
            assert server.asked == time
    assert told == ["away", None] * 3


async def test_after_its_end_the_breaker_opens_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIAL_S", 0.0)
    server = Server(Transient("away"), Transient("away"))
    breaker, _ = breaker_for(server)
    async with watching(breaker):
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.CLOSED)
        server.errors = [Transient("away again")]
        assert str(await breaker.confirm()) == "away again"
        assert breaker.state is BreakerState.OPEN
        await until(lambda: breaker.state is BreakerState.CLOSED)
