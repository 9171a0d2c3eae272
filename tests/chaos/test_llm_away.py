"""With the LLM server away nothing is buried, dropped or counted, however long; answers resume in
order when it is back.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.keys import LLM_GROUP
from ops.bench.chaos.stage import LLM_SERVER
from tests.chaos.worker_processes import running_worker_processes
from tests.support.redis_server import RedisServer


@pytest.mark.parametrize(
    ("away_s", "utterances"), [(10, 60), pytest.param(60, 200, marks=pytest.mark.full)]
)
async def test_what_was_said_meanwhile_is_answered_after(
    redis_server: RedisServer, tmp_path: Path, away_s: float, utterances: int
) -> None:
    async with running_worker_processes(tmp_path, redis_server.url, stt=2, llm=2) as workers:
        await workers.stage.pool.stop(LLM_SERVER)
        for number in range(utterances):
            await workers.publish(f"s{number % 20}")
            await asyncio.sleep(away_s / utterances)
        redis: Any = workers.stage.store.redis
        shard = workers.stage.store.all_shards()[0]
        claims = await redis.xpending_range(shard.turns, LLM_GROUP, "-", "+", 100)
        assert all(claim["times_delivered"] <= 1 for claim in claims)
        assert await redis.xlen(shard.dead) == 0
        workers.start_llm_server()
        findings = await workers.wait_until_at_rest()
        assert findings.answered == utterances
        assert findings.dead_letters == 0
