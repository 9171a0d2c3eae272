"""A master of a Redis Cluster that is killed under load is replaced: the conversations of the other
masters never stop, and those of its own go on after it.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench.chaos.plan import Plan
from ops.local.machine import find_free_port
from tests.chaos.worker_processes import running_worker_processes
from tests.support.redis_nodes import DURABLE, START_S, RedisNode, RedisNodes
from tests.support.waiting import until_sync

MASTERS = 3
SHARDS = 6
SECONDS = 25.0
CLUSTER = ("cluster-enabled yes", "cluster-node-timeout 2000", "cluster-require-full-coverage no")

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]


@pytest.fixture
def nodes() -> Iterator[list[RedisNode]]:
    """Three masters with a replica each."""
    with RedisNodes() as started:
        # a bus port of its own: by default it is the port and 10000, which may be no port
        nodes = [
            started.add([*DURABLE, *CLUSTER, f"cluster-port {find_free_port()}"])
            for _ in range(2 * MASTERS)
        ]
        until_sync(lambda: all(node.info("server") for node in nodes))
        subprocess.run(
            [
                "redis-cli",
                "--cluster",
                "create",
                *[f"127.0.0.1:{node.port}" for node in nodes],
                "--cluster-replicas",
                "1",
                "--cluster-yes",
            ],
            check=True,
            capture_output=True,
            timeout=START_S,
        )
        until_sync(lambda: all(is_whole(node) for node in nodes))
        yield nodes


def is_whole(node: RedisNode) -> bool:
    with node.client() as client:
        state = str(client.execute_command("CLUSTER INFO"))
    replicates = node.info("replication")
    follows = replicates.get("master_link_status") == "up" or replicates.get("connected_slaves")
    return "cluster_state:ok" in state.replace("'", "").replace(" ", "") and bool(follows)


def is_master(node: RedisNode) -> bool:
    return node.info("replication").get("role") == "master"


async def test_a_master_killed_under_load(nodes: list[RedisNode], tmp_path: Path) -> None:
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    plan = Plan(utterances=500, sessions=30, seconds=SECONDS, seed=2, broken=2)
    async with running_worker_processes(tmp_path, url, stt=2, llm=2, shards=SHARDS) as workers:
        workers.stage.start_producers(plan, 2)
        await asyncio.sleep(SECONDS / 3)
        victim = next(node for node in nodes if is_master(node))
        victim.kill()
        await asyncio.to_thread(
            until_sync, lambda: sum(is_master(node) for node in nodes) == MASTERS
        )
        await asyncio.sleep(SECONDS / 3)
        victim.start()  # it comes back as a replica, with a past of its own
        await workers.check_after_failover(plan)
