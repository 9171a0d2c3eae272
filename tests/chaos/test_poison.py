"""Work that kills its workers is buried after `max_deliveries`, and takes no neighbour with it."""

from pathlib import Path

import pytest

from ops.bench.chaos.plan import Kind
from tests.chaos.worker_processes import scene
from tests.support.redis_server import RedisServer

MAX_DELIVERIES = {"max_deliveries": 3}


async def test_an_utterance_that_kills_stt_workers_ends_alone(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with scene(tmp_path, redis_server.url, stt=2, worker=MAX_DELIVERIES) as stage:
        for number in range(12):
            await stage.publish(f"s{number % 4}")
        await stage.publish("s1", Kind.STT_POISON)
        for number in range(12):
            await stage.publish(f"s{number % 4}")
        findings = await stage.rest()
        assert stage.stage.pool.deaths.poisoned == 3
        assert (findings.errors, findings.answered) == (1, 24)


async def test_a_question_that_kills_llm_workers_ends_alone(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """However many conversations the worker has in hand each time: here it is the only one."""
    async with scene(
        tmp_path, redis_server.url, stt=2, tokens_per_s=100.0, worker=MAX_DELIVERIES
    ) as stage:
        for number in range(10):
            await stage.publish(f"s{number}")
        await stage.publish("poisoned", Kind.LLM_POISON)
        await stage.publish("poisoned")
        for number in range(10, 20):
            await stage.publish(f"s{number}")
        findings = await stage.rest()
        assert stage.stage.pool.deaths.poisoned == 3
        assert (findings.errors, findings.answered) == (1, 21)


@pytest.mark.full
async def test_two_poisons_at_once_end_and_nobody_else_does(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with scene(tmp_path, redis_server.url, stt=2, llm=2, worker=MAX_DELIVERIES) as stage:
        for number in range(12):
            await stage.publish(f"s{number}")
            if number % 4 == 1:
                await stage.publish(f"p{number}", Kind.LLM_POISON)
        findings = await stage.rest()
        assert (findings.errors, findings.answered) == (3, 12)
