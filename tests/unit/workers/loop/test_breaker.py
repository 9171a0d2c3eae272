"""With its server unusable a worker takes nothing. Only the server's own answer to the smallest
request decides whether it is unusable: the failures of one session never do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from common.errors import Busy, Transient
from tests.unit.workers.loop.noted_pauses import note_pauses
from workers.loop import breaker as module
from workers.loop.breaker import (
    LONGEST_PAUSE_S,
    LONGEST_WISH_S,
    Breaker,
    BreakerState,
)


class Server:
    """Answers the question: with the errors in their order, then well."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0
        self.held = asyncio.Event()
        self.held.set()

    async def ask(self) -> None:
        self.asked += 1
        await self.held.wait()
        if self.errors:
            raise self.errors.pop(0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between questions, which take no time."""
    return note_pauses(monkeypatch, module)


def breaker_for(server: Server, **options: int) -> tuple[Breaker, list[str | None]]:
    told: list[str | None] = []
    return Breaker(server.ask, told.append, clock=Clock(), **options), told


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
    breaker.open("it is away")
    breaker.open("it is away")
    assert breaker.state is BreakerState.OPEN
    assert told == ["it is away"]
    breaker.open("it has no such model")
    assert told == ["it is away", "it has no such model"]


async def test_the_first_answer_makes_the_worker_ready_with_one_entry_at_a_time(
    pauses: list[float],
) -> None:
    server = Server(Transient("still away"), Transient("still away"))
    breaker, told = breaker_for(server)
    async with watching(breaker):
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert server.asked == 3
    assert told == ["away", "still away", None]


async def test_the_pauses_stay_short_since_a_worker_is_ready_soon_after_its_server(
    pauses: list[float],
) -> None:
    breaker, _ = breaker_for(Server(*(Transient("away") for _ in range(50))))
    async with watching(breaker):
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert max(pauses) == LONGEST_PAUSE_S


async def test_nobody_asks_a_server_that_works(pauses: list[float]) -> None:
    server = Server()
    breaker, _ = breaker_for(server)
    async with watching(breaker):
        for _ in range(20):
            await asyncio.sleep(0)
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
        for _ in range(20):
            await asyncio.sleep(0)
    assert server.asked == 1


async def test_work_that_came_through_ends_the_trial(pauses: list[float]) -> None:
    breaker, _ = breaker_for(Server(Transient("away"), Transient("away")))
    async with watching(breaker):
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
        breaker.note_success()
        assert breaker.state is BreakerState.CLOSED
        pauses.clear()
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert pauses == [0.25]


async def test_a_server_that_wants_to_be_left_alone_is_asked_less_often(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    breaker, _ = breaker_for(
        Server(Transient("later", retry_after=7), Transient("much later", retry_after=900))
    )
    monkeypatch.setattr("workers.loop.breaker.asyncio.sleep", note)
    async with watching(breaker):
        breaker.open("away")
        async with asyncio.timeout(10):
            while not breaker.limit(1):
                await sleep(0)
    assert [seconds for seconds in slept if seconds] == [7, LONGEST_WISH_S]


async def test_it_is_known_whether_requests_of_all_sessions_fail() -> None:
    breaker, _ = breaker_for(Server(), sessions_in_a_row=1)
    seen = []
    # the smallest request is answered after each of them
    for session in ("ada", "ada", "bob", "eve"):
        await breaker.note_failure(session)
        seen.append(breaker.fails_for_all)
    breaker.note_success()
    assert [*seen, breaker.fails_for_all] == [False, False, False, True, False]


async def test_a_late_success_from_before_does_not_close_it() -> None:
    breaker, _ = breaker_for(Server())
    breaker.open("away")
    breaker.note_success()
    assert breaker.state is BreakerState.OPEN


async def test_a_question_that_is_broken_itself_keeps_it_open(pauses: list[float]) -> None:
    breaker, told = breaker_for(Server(ValueError("what is this?")))
    async with watching(breaker):
        breaker.open("away")
        await until(lambda: breaker.state is BreakerState.TRIAL)
    assert told[1] is not None
    assert "what is this?" in told[1]


async def test_one_session_that_fails_for_ever_raises_no_question() -> None:
    server = Server(Transient("away"))
    breaker, told = breaker_for(server)
    for _ in range(50):
        await breaker.note_failure("ada")
    assert (server.asked, breaker.state, told) == (0, BreakerState.CLOSED, [])


async def test_several_sessions_in_a_row_raise_it_and_the_answer_decides() -> None:
    server = Server()
    breaker, _ = breaker_for(server, sessions_in_a_row=3)
    for session in ("ada", "bob", "ada"):
        await breaker.note_failure(session)
    assert server.asked == 0
    await breaker.note_failure("eve")
    assert (server.asked, breaker.state) == (1, BreakerState.CLOSED), "they are at fault"
    server.errors = [Transient("it fails with 500")]
    for session in ("ada", "bob", "eve"):
        await breaker.note_failure(session)
    assert (server.asked, breaker.state) == (2, BreakerState.OPEN)


async def test_a_success_between_them_ends_the_row() -> None:
    server = Server(Transient("away"))
    breaker, _ = breaker_for(server, sessions_in_a_row=2)
    for session in ("ada", "bob", "eve", "dan"):
        await breaker.note_failure(session)
        breaker.note_success()
    assert server.asked == 0


async def test_a_busy_server_is_no_unusable_one() -> None:
    breaker, told = breaker_for(Server(Busy("too many requests")))
    error = await breaker.confirm()
    assert isinstance(error, Busy)
    assert (breaker.state, told) == (BreakerState.CLOSED, [])


async def test_those_who_ask_at_the_same_time_share_one_question() -> None:
    server = Server(Transient("away"))
    breaker, told = breaker_for(server)
    server.held.clear()
    asking = [asyncio.create_task(breaker.confirm()) for _ in range(5)]
    await until(lambda: server.asked == 1)
    asking.pop().cancel()  # who gives up takes the answer from nobody
    server.held.set()
    answers = await asyncio.gather(*asking)
    assert [str(error) for error in answers] == ["away"] * 4
    assert (server.asked, told) == (1, ["away"])


async def test_a_fresh_answer_stands_for_a_while() -> None:
    server, clock = Server(), Clock()
    breaker = Breaker(server.ask, lambda why: None, clock=clock)
    breaker.note_success()
    assert await breaker.confirm(fresh_s=1.0) is None
    assert server.asked == 0
    clock.now += 1.5
    assert await breaker.confirm(fresh_s=1.0) is None
    assert server.asked == 1
    await breaker.confirm()
    assert server.asked == 2, "who asks for no fresh one gets a new answer"
