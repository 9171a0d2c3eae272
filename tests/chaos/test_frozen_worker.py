"""A worker that is frozen past its claim and thawed again changes nothing, and says so once."""

from pathlib import Path
from typing import Any

import pytest

from common.keys import LLM_GROUP, STT_GROUP
from tests.chaos.worker_processes import WorkerProcesses, log_lines, running_worker_processes
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

HOLDING = {"stt": {"stt": 2, "slow_s": 1.0}, "llm": {"llm": 2, "tokens_per_s": 20.0}}


async def holder(workers: WorkerProcesses, role: str, session: str) -> str:
    """The place in the pool that works on the only thing there is to do."""
    redis: Any = workers.stage.store.redis
    shard = workers.stage.store.all_shards()[0]
    stream, group = (shard.turns, LLM_GROUP) if role == "llm" else (shard.utterances, STT_GROUP)

    async def look() -> str:
        rows = await redis.xpending_range(stream, group, "-", "+", 1)
        if not rows or (role == "llm" and not await redis.hget(shard.session(session), "token")):
            return ""
        pid = int(rows[0]["consumer"].decode().split("-")[-2])
        return next(
            name for name in workers.stage.pool.names(role) if workers.stage.pool.pid(name) == pid
        )

    name: str = await until(look)
    return name


@pytest.mark.parametrize("role", ["stt", "llm"])
async def test_what_a_frozen_worker_held_is_done_by_another_and_once(
    redis_server: RedisServer, tmp_path: Path, role: str
) -> None:
    async with running_worker_processes(tmp_path, redis_server.url, **HOLDING[role]) as workers:  # type: ignore[arg-type]  # counts and seconds
        planned = await workers.publish("s")
        frozen = await holder(workers, role, "s")
        assert workers.stage.pool.freeze(frozen)
        await workers.stage.wait_for_endings(planned.id)
        workers.stage.pool.thaw(frozen)

        async def noticed() -> list[str]:
            return log_lines(tmp_path, frozen, "claim_lost")

        await until(noticed)
        # it goes on working, and says nothing more about it
        for number in range(6):
            await workers.publish(f"s{number}")
        findings = await workers.wait_until_at_rest()
        assert findings.answered == 7
        assert len(log_lines(tmp_path, frozen, "claim_lost")) == 1
        assert not workers.stage.pool.deaths.killed
