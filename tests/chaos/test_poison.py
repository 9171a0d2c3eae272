"""Work that kills its workers is buried after `max_deliveries`, and takes no neighbour with it."""

from pathlib import Path

import pytest

from ops.bench.chaos.plan import Kind
from tests.chaos.worker_processes import running_worker_processes
from tests.support.redis_server import RedisServer

MAX_DELIVERIES = {"max_deliveries": 3}


async def test_an_utterance_that_kills_stt_workers_ends_alone(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with running_worker_processes(
        tmp_path, redis_server.url, stt=2, worker=MAX_DELIVERIES
    ) as workers:
        for number in range(12):
            await workers.publish(f"s{number % 4}")
        await workers.publish("s1", Kind.STT_POISON)
        for number in range(12):
            await workers.publish(f"s{number % 4}")
        findings = await workers.wait_until_at_rest()
        assert workers.stage.pool.deaths.poisoned == 3
        assert (findings.errors, findings.answered) == (1, 24)


async def test_a_question_that_kills_llm_workers_ends_alone(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """However many conversations the worker has in hand each time: here it is the only one."""
    async with running_worker_processes(
        tmp_path, redis_server.url, stt=2, tokens_per_s=100.0, worker=MAX_DELIVERIES
    ) as workers:
        for number in range(10):
            await workers.publish(f"s{number}")
        await workers.publish("poisoned", Kind.LLM_POISON)
        await workers.publish("poisoned")
        for number in range(10, 20):
            await workers.publish(f"s{number}")
        findings = await workers.wait_until_at_rest()
        assert workers.stage.pool.deaths.poisoned == 3
        assert (findings.errors, findings.answered) == (1, 21)


@pytest.mark.full
async def test_two_poisons_at_once_end_and_nobody_else_does(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with running_worker_processes(
        tmp_path, redis_server.url, stt=2, llm=2, worker=MAX_DELIVERIES
    ) as workers:
        for number in range(12):
            await workers.publish(f"s{number}")
            if number % 4 == 1:
                await workers.publish(f"p{number}", Kind.LLM_POISON)
        findings = await workers.wait_until_at_rest()
        assert (findings.errors, findings.answered) == (3, 12)
