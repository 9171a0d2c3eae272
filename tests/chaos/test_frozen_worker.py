"""A worker that is frozen past its claim and thawed again changes nothing, and says so once."""

from pathlib import Path
from typing import Any

import pytest

from common.keys import LLM_GROUP, STT_GROUP
from ops.bench.chaos.plan import PlannedUtterance
from tests.chaos.worker_processes import WorkerProcesses, log_lines, running_worker_processes
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

HOLDING = {"stt": {"stt": 2, "slow_s": 1.0}, "llm": {"llm": 2, "tokens_per_s": 20.0}}


async def find_claim(workers: WorkerProcesses, role: str, session: str) -> tuple[str, str] | None:
    """The only entry in work and the worker that has it; None while nobody works."""
    redis: Any = workers.stage.store.redis
    shard = workers.stage.store.all_shards()[0]
    stream, group = (shard.turns, LLM_GROUP) if role == "llm" else (shard.utterances, STT_GROUP)
    rows = await redis.xpending_range(stream, group, "-", "+", 1)
    if not rows or (role == "llm" and not await redis.hget(shard.session(session), "token")):
        return None
    pid = int(rows[0]["consumer"].decode().split("-")[-2])
    pool = workers.stage.pool
    worker = next(name for name in pool.names(role) if pool.pid(name) == pid)
    return rows[0]["message_id"].decode(), worker


async def freeze_at_work(workers: WorkerProcesses, role: str) -> tuple[str, str, PlannedUtterance]:
    """Freeze a worker in the middle of its work: the entry, the worker and the utterance.

    On a busy machine the work may be done before the worker is frozen. Then it gets more work.
    """
    while True:
        planned = await workers.publish(f"held-{len(workers.published)}")
        claim = await until(lambda: find_claim(workers, role, planned.session))  # noqa: B023  # it is used at once
        entry, worker = claim
        assert workers.stage.pool.freeze(worker)
        if await find_claim(workers, role, planned.session) == claim:
            return entry, worker, planned
        workers.stage.pool.thaw(worker)
        await workers.stage.wait_for_endings(planned.id)


@pytest.mark.parametrize("role", ["stt", "llm"])
async def test_what_a_frozen_worker_held_is_done_by_another_and_once(
    redis_server: RedisServer, tmp_path: Path, role: str
) -> None:
    async with running_worker_processes(tmp_path, redis_server.url, **HOLDING[role]) as workers:  # type: ignore[arg-type]  # counts and seconds
        entry, frozen, planned = await freeze_at_work(workers, role)
        await workers.stage.wait_for_endings(planned.id)
        workers.stage.pool.thaw(frozen)

        def losses() -> list[str]:
            return [line for line in log_lines(tmp_path, frozen, "claim_lost") if entry in line]

        await until(losses)
        # it goes on working, and says nothing more about it
        for number in range(6):
            await workers.publish(f"later-{number}")
        findings = await workers.wait_until_at_rest()
        assert findings.answered == len(workers.published)
        assert len(losses()) == 1
        assert not workers.stage.pool.deaths.killed
