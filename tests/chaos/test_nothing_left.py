"""When everything has been settled and has expired, nothing is left: no key of a session, no
consumer, no claim.
"""

import asyncio
from pathlib import Path
from typing import Any

from common.keys import LLM_GROUP, NOBODY, SHARDS, STT_GROUP, WORKERS
from common.redis.link import Link
from ops.bench.chaos.plan import Kind
from tests.chaos.worker_processes import WorkerProcesses, running_worker_processes
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from workers.loop.caretaker import Caretaker

TTL = {"session_ttl_s": 3, "seen_ttl_s": 1}
OUTBOX = {"outbox_max_age_s": 0.5}  # shorter than what was sent is remembered


async def test_after_deaths_errors_and_goodbyes_the_server_is_clean(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with running_worker_processes(
        tmp_path,
        redis_server.url,
        stt=2,
        llm=2,
        limits=TTL,
        listen=OUTBOX,
        worker={"max_deliveries": 4},
    ) as workers:
        pool = workers.stage.pool
        for number in range(24):
            await workers.publish(f"s{number % 6}", Kind.NOISE if number % 7 == 0 else Kind.SPEECH)
            if number % 8 == 3:
                pool.kill(f"{('stt', 'llm')[number % 2]}-1")
        await workers.publish("s1", Kind.BROKEN)
        await workers.publish("s2", Kind.STT_POISON)
        await workers.publish("s3", Kind.LLM_POISON)
        findings = await workers.wait_until_at_rest()
        assert findings.errors == 3
        await pool.stop(*pool.names("stt-"), *pool.names("llm-"))
        await sweep(workers)
        await until(lambda: only_what_lasts(workers))
        assert await consumers(workers) <= NOBODY


async def sweep(workers: WorkerProcesses) -> None:
    """Have the consumers of the killed workers swept, as the living do now and then."""
    store = workers.stage.store
    link = Link(store.redis, workers.stage.settings.redis, max_pause_s=1)
    shard = store.all_shards()[0]
    await asyncio.sleep(0.1)
    caretaker = Caretaker(store, link, "test", claim_idle_s=0.001)
    await caretaker.remove_dead_consumers(shard.turns, LLM_GROUP)
    for stream in (shard.utterances, shard.recordings):
        await caretaker.remove_dead_consumers(stream, STT_GROUP)


async def consumers(workers: WorkerProcesses) -> set[str]:
    redis: Any = workers.stage.store.redis
    shard = workers.stage.store.all_shards()[0]
    rows = [
        row
        for stream, group in (
            (shard.utterances, STT_GROUP),
            (shard.recordings, STT_GROUP),
            (shard.turns, LLM_GROUP),
        )
        for row in await redis.xinfo_consumers(stream, group)
    ]
    assert [row for row in rows if row["pending"]] == []
    return {row["name"].decode() for row in rows}


async def only_what_lasts(workers: WorkerProcesses) -> bool:
    """Whether there is nothing but streams, which are bounded, and the noted number of shards.

    The names of workers are kept for an hour.
    """
    redis: Any = workers.stage.store.redis
    shard = workers.stage.store.all_shards()[0]
    lasting = {
        SHARDS,
        shard.utterances,
        shard.recordings,
        shard.turns,
        shard.results,
        shard.deltas,
        *shard.letters.values(),
    }
    left = {key.decode() for key in await redis.keys("*")} - lasting
    return left <= {WORKERS} and await redis.ttl(WORKERS) != -1
