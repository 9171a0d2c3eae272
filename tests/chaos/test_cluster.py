"""A master of a Redis Cluster that is killed under load is replaced: the conversations of the other
masters never stop, and those of its own go on after it.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench.chaos.plan import Plan
from tests.chaos.worker_processes import running_worker_processes
from tests.support.redis_cluster import MASTERS, RedisCluster, is_master
from tests.support.waiting import until_sync

SHARDS = 6
SECONDS = 25.0

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]


@pytest.fixture
def cluster() -> Iterator[RedisCluster]:
    """Three masters with a replica each."""
    with RedisCluster(replicas=1, timeout_ms=2_000) as started:
        yield started


async def test_a_master_killed_under_load(cluster: RedisCluster, tmp_path: Path) -> None:
    plan = Plan(utterances=500, sessions=30, seconds=SECONDS, seed=2, broken=2)
    async with running_worker_processes(
        tmp_path, cluster.url, stt=2, llm=2, shards=SHARDS
    ) as workers:
        workers.stage.start_producers(plan, 2)
        await asyncio.sleep(SECONDS / 3)
        victim = next(node for node in cluster.nodes if is_master(node))
        victim.kill()
        await asyncio.to_thread(
            until_sync, lambda: sum(is_master(node) for node in cluster.nodes) == MASTERS
        )
        await asyncio.sleep(SECONDS / 3)
        victim.start()  # it comes back as a replica, with a past of its own
        await workers.check_after_failover(plan)
