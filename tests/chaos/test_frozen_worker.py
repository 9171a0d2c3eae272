"""A worker that is frozen past its claim and thawed again changes nothing, and says so once."""

from pathlib import Path
from typing import Any

import pytest

from common.keys import LLM_GROUP, STT_GROUP
from tests.chaos.worker_processes import Scene, log_lines, scene
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

HOLDING = {"stt": {"stt": 2, "slow_s": 1.0}, "llm": {"llm": 2, "tokens_per_s": 20.0}}


async def holder(on: Scene, role: str, session: str) -> str:
    """The place in the pool that works on the only thing there is to do."""
    redis: Any = on.stage.store.redis
    shard = on.stage.store.all_shards()[0]
    stream, group = (shard.turns, LLM_GROUP) if role == "llm" else (shard.utterances, STT_GROUP)

    async def look() -> str:
        rows = await redis.xpending_range(stream, group, "-", "+", 1)
        if not rows or (role == "llm" and not await redis.hget(shard.session(session), "token")):
            return ""
        pid = int(rows[0]["consumer"].decode().split("-")[-2])
        return next(name for name in on.stage.pool.names(role) if on.stage.pool.pid(name) == pid)

    name: str = await until(look)
    return name


@pytest.mark.parametrize("role", ["stt", "llm"])
async def test_what_a_frozen_worker_held_is_done_by_another_and_once(
    redis_server: RedisServer, tmp_path: Path, role: str
) -> None:
    async with scene(tmp_path, redis_server.url, **HOLDING[role]) as on:  # type: ignore[arg-type]  # counts and seconds
        planned = await on.publish("s")
        frozen = await holder(on, role, "s")
        assert on.stage.pool.freeze(frozen)
        await on.stage.ended(planned.id)
        on.stage.pool.thaw(frozen)

        async def said() -> list[str]:
            return log_lines(tmp_path, frozen, "claim_lost")

        await until(said)
        # it goes on working, and says nothing more about it
        for number in range(6):
            await on.publish(f"s{number}")
        findings = await on.rest()
        assert findings.answered == 7
        assert len(log_lines(tmp_path, frozen, "claim_lost")) == 1
        assert not on.stage.pool.deaths.killed
