"""A worker outlives every absence of Redis (restart, flush, lost group, half-open socket, none at
the start) and what it had in hand is done once.
"""

import asyncio
from collections.abc import Awaitable, Iterator

import pytest
from structlog.testing import capture_logs

from common.errors import RedisUnusable
from common.events import Heard
from common.keys import HANDED_BACK, STT_GROUP
from common.redis import client_options
from ops.bench.chaos.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.worker_tasks import CLAIM_S, HookedEngine, WorkerTasks, running_worker_tasks

DURABLE = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(options=DURABLE) as server:
        yield server


@pytest.mark.parametrize("clean", [True, False], ids=["restarted", "killed"])
async def test_work_in_hand_over_a_restart_is_done_once(workers: WorkerTasks, clean: bool) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    await workers.start("w1", engine)
    await workers.publish(1)
    await until(lambda: engine.calls)
    workers.server.restart(clean=clean)
    await workers.publish(2)
    workers.released.set()
    await workers.wait_for_transcripts(1, 2)
    assert engine.calls == [1, 2]
    assert await workers.dead_letters() == []


async def test_a_result_is_kept_until_redis_is_back(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    await workers.start("w1", engine, claim_idle_s=CLAIM_S)
    await workers.publish(1)
    await until(lambda: engine.calls)
    workers.server.kill()
    with capture_logs() as lines:
        workers.released.set()

        async def noticed() -> bool:
            return any(line["event"] == "redis_is_away" for line in lines)

        await until(noticed)
        await asyncio.sleep(CLAIM_S)
        workers.server.start()
        await workers.wait_for_transcripts(1)
    assert engine.calls == [1]
    told = [line["event"] for line in lines if line["event"].startswith("redis_is")]
    assert told == ["redis_is_away", "redis_is_back"], "once per change of state"


async def test_a_worker_waits_for_a_redis_that_is_not_there_yet(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.stop()
    async with running_worker_tasks(redis_server, monkeypatch) as workers:
        with capture_logs() as lines:
            worker = workers.start_without_waiting("w1")

            async def has_its_model() -> bool:
                return any(line["event"] == "model_ready" for line in lines)

            await until(has_its_model)
        redis_server.start()
        await workers.wait_for_state(worker, "ready")
        await workers.publish(1)
        await workers.wait_for_transcripts(1)


async def test_a_foreign_key_in_the_way_ends_the_start_with_a_sentence(
    workers: WorkerTasks,
) -> None:
    stream = workers.store.all_shards()[0].recordings
    await workers.store.redis.set(stream, "a foreign value")
    worker = workers.start_without_waiting("w1")
    with pytest.raises(RedisUnusable, match="recordings holds a string, not a stream"):
        await worker.task


async def test_a_lost_group_is_made_again_and_skips_nothing(workers: WorkerTasks) -> None:
    await workers.start("w1")
    await workers.publish(1)
    await workers.wait_for_transcripts(1)
    stream = workers.store.all_shards()[0].utterances
    await workers.store.redis.xgroup_destroy(stream, STT_GROUP)
    await workers.publish(2)
    with capture_logs() as lines:
        await workers.publish(3)
        await workers.wait_for_transcripts(1, 2, 3)
    assert len([line for line in lines if line["event"] == "group_lost"]) <= 4, "no spin"


async def test_a_group_lost_with_work_in_hand_has_it_done_once(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    await workers.start("w1", engine)
    await workers.publish(1)
    await until(lambda: engine.calls)
    stream = workers.store.all_shards()[0].utterances
    await workers.store.redis.xgroup_destroy(stream, STT_GROUP)
    await workers.start("w2")
    # again, by either of them: the one who was first, and only w2 can be done with it
    await until(lambda: _either(workers.pending(), workers.transcripts()))
    workers.released.set()
    await workers.wait_for_transcripts(1)


async def _either(*looks: Awaitable[object]) -> bool:
    return any([await look for look in looks])


async def test_after_a_flush_everything_goes_on_from_nothing(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    worker = await workers.start("w1", engine)
    await workers.publish(1)
    await until(lambda: engine.calls)
    await workers.store.redis.flushall()
    workers.released.set()
    await workers.publish(2)
    await workers.wait_for_transcripts(2)
    assert [event.turn for event in await workers.events(Heard)] == [1]
    assert not worker.task.done()


async def test_a_half_open_connection_is_given_up_and_nothing_is_done_twice(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_options, "SOCKET_TIMEOUT_S", 0.5)
    async with (
        Proxy(redis_server.socket) as proxy,
        running_worker_tasks(redis_server, monkeypatch, url=proxy.url) as workers,
    ):
        engine = HookedEngine()
        engine.hooks[1] = workers.hold
        await workers.start("w1", engine, claim_idle_s=CLAIM_S)
        await workers.publish(1)
        await until(lambda: engine.calls)
        with capture_logs() as lines:
            proxy.freeze()

            async def noticed() -> bool:
                return any(line["event"] == "redis_is_away" for line in lines)

            await until(noticed)
            workers.released.set()
            await asyncio.sleep(1.0)
            # what was given up on reaches the server after all, and then everything is tried anew
            proxy.thaw()
            await workers.publish(2)
            await workers.wait_for_transcripts(1, 2)
        assert engine.calls == [1, 2]
        assert [line["event"] for line in lines].count("redis_is_away") <= 2


async def test_connections_cut_again_and_again_lose_nothing_and_do_nothing_twice(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Proxy(redis_server.socket) as proxy,
        running_worker_tasks(redis_server, monkeypatch, url=proxy.url) as workers,
    ):
        # What a lost answer brought comes back when its claim has passed, as often as that happens.
        started = [
            await workers.start(f"w{number}", claim_idle_s=CLAIM_S, max_deliveries=1_000)
            for number in range(3)
        ]
        numbers = range(60)

        async def cut() -> None:
            while True:
                await asyncio.sleep(0.05)
                proxy.cut()

        cutting = asyncio.create_task(cut())
        for number in numbers:
            await workers.publish(number, session=f"s{number % 6}")
            await asyncio.sleep(0.01)
        cutting.cancel()
        await workers.wait_for_transcripts(*numbers)
        assert await workers.dead_letters() == []
        assert not any(worker.task.done() for worker in started)

        async def nothing_claimed() -> bool:
            return not await workers.pending()

        await until(nothing_claimed)


async def test_what_was_handed_back_survives_a_restart(workers: WorkerTasks) -> None:
    engine = HookedEngine()
    engine.hooks[1] = workers.hold
    worker = await workers.start("w1", engine, drain_timeout_s=0.1)
    await workers.publish(1)
    await until(lambda: engine.calls)
    await worker.terminate()
    workers.server.restart()
    assert [row["consumer"] for row in await workers.pending()] == [HANDED_BACK.encode()]
    await workers.start("w2")
    await workers.wait_for_transcripts(1)


async def test_leaving_does_not_wait_for_a_redis_that_is_away(workers: WorkerTasks) -> None:
    worker = await workers.start("w1")
    workers.server.kill()
    async with asyncio.timeout(20):
        await worker.terminate()
