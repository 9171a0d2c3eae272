"""Promise 8: what one session does delays no other. A request that fails holds nothing that others
need, is buried when the server answers others, and waits when the server answers nobody."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from common.errors import Busy, Transient
from common.events import Error
from common.keys import DEFERRED, HANDED_BACK
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.worker_tasks import HookedEngine, WorkerTasks, failing, running_worker_tasks

ALWAYS = 10_000


@pytest.fixture
async def workers(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WorkerTasks]:
    async with running_worker_tasks(redis_server, monkeypatch) as workers:
        yield workers


async def consumers(workers: WorkerTasks) -> list[str]:
    return [row["consumer"].decode() for row in await workers.pending()]


@pytest.mark.parametrize(
    "error",
    [
        Transient("500, and please wait", retry_after=200, opens_breaker=False),
        Transient("it forbids the request", retry_after=200),
        Busy("429", retry_after=200),
    ],
    ids=["failing", "forbidden", "busy"],
)
async def test_a_request_that_waits_holds_up_nobody_and_lets_its_worker_leave(
    workers: WorkerTasks, error: Exception
) -> None:
    engine = HookedEngine()
    engine.hooks[1] = failing(error, times=ALWAYS)
    worker = await workers.start("w1", engine, drain_timeout_s=100)
    await workers.publish(1, session="ada")
    await until(lambda: engine.calls)
    for number in range(2, 8):
        await workers.publish(number, session="bob")
    await workers.wait_for_transcripts(2, 3, 4, 5, 6, 7)
    assert await consumers(workers) == [DEFERRED]
    async with asyncio.timeout(20):
        await worker.terminate()
    assert await consumers(workers) == [DEFERRED]


@pytest.mark.parametrize("opens_breaker", [True, False])
async def test_a_request_that_always_fails_is_buried_where_the_server_answers_others(
    workers: WorkerTasks, opens_breaker: bool
) -> None:
    engine = HookedEngine()
    engine.hooks[1] = failing(Transient("401, it says", opens_breaker=opens_breaker), times=ALWAYS)
    await workers.start("w1", engine)
    await workers.publish(1, session="ada")
    await workers.publish(2, session="bob")
    await until(workers.dead_letters)
    [error] = await workers.events(Error)
    assert (error.session, error.data.reason, error.data.error) == ("ada", "failed", "401, it says")
    assert error.data.deliveries == 3
    assert engine.calls.count(1) == 3
    await workers.wait_for_transcripts(2)


async def test_it_is_not_buried_while_the_server_answers_nobody(workers: WorkerTasks) -> None:
    """Although it failed as often as it may; when the server is back it gets another try."""
    engine = HookedEngine()
    away = failing(Transient("away", opens_breaker=False), times=3)

    def fail() -> None:
        if len(engine.calls) == 3:  # the last try: from now on nobody is answered
            engine.probe = failing(Transient("away"), times=4)
        away()

    engine.hooks[1] = fail
    worker = await workers.start("w1", engine)
    await workers.publish(1)
    await workers.wait_for_state(worker, "waiting")
    assert engine.calls == [1, 1, 1]
    assert await workers.dead_letters() == []
    await workers.wait_for_transcripts(1)
    assert engine.calls == [1, 1, 1, 1]


async def test_one_that_brings_its_server_down_each_time_is_buried_in_the_end(
    workers: WorkerTasks,
) -> None:
    """The server answers before the request, and not after it, twice as often as it may fail."""
    engine = HookedEngine()

    def kill_server() -> None:
        engine.probe = failing(Transient("the server is gone"), times=2)
        raise Transient("the connection broke", opens_breaker=False)

    engine.hooks[1] = kill_server
    await workers.start("w1", engine)
    await workers.publish(1, session="ada")
    await workers.publish(2, session="bob")
    await until(workers.dead_letters)
    [letter] = await workers.dead_letters()
    assert (letter["session"], letter["deliveries"]) == ("ada", "6")
    assert engine.calls.count(1) == 6
    await workers.wait_for_transcripts(2)


async def test_with_many_idle_workers_an_outage_counts_no_further_failures(
    workers: WorkerTasks,
) -> None:
    """An entry that failed before is tried only at a server that has just answered."""
    engines = [HookedEngine() for _ in range(8)]
    gone = False

    def ask() -> None:
        if gone:
            raise Transient("the server is gone")

    def fail() -> None:
        nonlocal gone
        gone = sum(len(engine.calls) for engine in engines) >= 3
        raise Transient("it fails", opens_breaker=False)

    for engine in engines:
        engine.probe, engine.hooks[1] = ask, fail
    started = [await workers.start(f"w{n}", engine) for n, engine in enumerate(engines)]
    await workers.publish(1)
    for worker in started:
        # whoever tries to take it finds the server gone, and takes nothing more
        await workers.wait_for_state(worker, "waiting")
    assert sum(len(engine.calls) for engine in engines) == 3
    assert await workers.dead_letters() == []


async def test_what_fails_at_one_worker_is_left_to_another(workers: WorkerTasks) -> None:
    workers.grace_s = 600.0
    small = HookedEngine()
    small.hooks[1] = failing(Transient("it does not fit the GPU", opens_breaker=False), ALWAYS)
    await workers.start("w1", small)
    await workers.publish(1)
    await until(lambda: small.calls)
    large = await workers.start("w2")
    await workers.wait_for_transcripts(1)
    assert (small.calls, large.engine.calls) == ([1], [1])


async def test_a_worker_that_leaves_hands_back_what_it_has_in_hand_only(
    workers: WorkerTasks,
) -> None:
    engine = HookedEngine()
    engine.hooks[1] = failing(Busy("429", retry_after=100), ALWAYS)
    engine.hooks[2] = workers.hold
    worker = await workers.start("w1", engine, drain_timeout_s=0.1)
    await workers.publish(1, session="ada")
    await until(lambda: engine.calls)
    await workers.publish(2, session="bob")
    await until(lambda: 2 in engine.calls)
    await worker.terminate()
    assert await consumers(workers) == [DEFERRED, HANDED_BACK]
