"""Promise 8 where many fail at once: retries hold up neither the work of dead workers nor a trial,
and a failed try keeps its pause when its worker leaves."""

import time
from collections.abc import AsyncIterator

import pytest

from common.errors import Busy, Misconfigured, Transient
from common.keys import DEFERRED, STT_GROUP
from common.transitions.claims import make_group
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


@pytest.mark.parametrize("error", [Busy("429"), Misconfigured("the prompt is too long")])
async def test_a_dead_worker_s_entry_goes_before_retries(
    workers: WorkerTasks, error: Transient
) -> None:
    """Although a retry is due at any time, and the worker has room for one entry."""
    engine = HookedEngine()

    def fail() -> None:
        time.sleep(0.1)
        raise error

    for number in range(1, 6):
        engine.hooks[number] = fail
    await workers.publish(9, session="bob")
    stream = workers.store.all_shards()[0].utterances
    await make_group(workers.store, stream, STT_GROUP)
    await workers.store.redis.xreadgroup(STT_GROUP, "stt-dead", {stream: ">"}, count=1)
    await workers.start("w1", engine, claim_idle_s=1.0)
    for number in range(1, 6):
        await workers.publish(number, session=f"s{number}")
    await until(lambda: len(engine.calls) >= 5)
    await workers.wait_for_transcripts(9)


async def test_a_slow_entry_on_trial_holds_up_the_others_for_a_moment_only(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_worker_tasks(redis_server, monkeypatch, stt={"concurrency": 4}) as workers:
        engine = HookedEngine()
        engine.probe = failing(Transient("away"), times=3)
        engine.hooks[1] = workers.hold
        for number in range(1, 5):
            await workers.publish(number, session=f"s{number}")
        await workers.start_broken("w1", engine)
        await until(lambda: engine.calls == [1])
        await workers.wait_for_transcripts(2, 3, 4)


async def test_an_entry_that_failed_stays_deferred_when_its_worker_leaves(
    workers: WorkerTasks,
) -> None:
    """It waited for the server's answer. Its next worker has to ask as well."""
    engine = HookedEngine()
    engine.hooks[1] = failing(Transient("500", opens_breaker=False), times=ALWAYS)
    worker = await workers.start("w1", engine, drain_timeout_s=0.2)
    await workers.publish(1)
    asked = engine.probes

    def hang() -> None:
        if len(engine.calls) > 0 and engine.probes > asked:
            workers.hold()

    engine.probe = hang
    await until(lambda: engine.calls)
    await until(workers.pending, lambda rows: [row["consumer"] for row in rows] == [b"w1"])
    await worker.terminate()
    assert [row["consumer"].decode() for row in await workers.pending()] == [DEFERRED]
