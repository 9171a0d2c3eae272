"""A master of Redis that is killed under load hands over to a replica, and conversations go on:
none is stuck, none is out of order, none is answered twice.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench.chaos.plan import Plan
from tests.chaos.worker_processes import running_worker_processes
from tests.support.redis_nodes import CAREFUL, DURABLE, RedisNodes
from tests.support.waiting import until_sync

SERVICE = "earshot"
SENTINELS = 3
SECONDS = 25.0

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]


class Watched:
    """A master with two replicas, and who watches over them."""

    def __init__(self, nodes: RedisNodes) -> None:
        self.master = nodes.add([*DURABLE, *CAREFUL])
        self.replicas = [
            nodes.add([*DURABLE, *CAREFUL, f"replicaof 127.0.0.1 {self.master.port}"])
            for _ in range(2)
        ]
        until_sync(lambda: self.master.info("replication").get("connected_slaves") == 2)
        orders = [
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} 2",
            f"sentinel down-after-milliseconds {SERVICE} 1000",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        self.sentinels = [nodes.add(orders, "--sentinel") for _ in range(SENTINELS)]
        until_sync(self._know_each_other)

    def _know_each_other(self) -> bool:
        seen = [str(node.info("sentinel").get("master0", "")) for node in self.sentinels]
        return all(f"'slaves': 2, 'sentinels': {SENTINELS}" in one for one in seen)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def has_new_master(self) -> bool:
        return any(node.info("replication").get("role") == "master" for node in self.replicas)


@pytest.fixture
def watched() -> Iterator[Watched]:
    with RedisNodes() as nodes:
        yield Watched(nodes)


async def test_a_failover_under_load(watched: Watched, tmp_path: Path) -> None:
    plan = Plan(utterances=500, sessions=25, seconds=SECONDS, seed=1, broken=2)
    async with running_worker_processes(tmp_path, watched.url, stt=2, llm=2) as workers:
        workers.stage.start_producers(plan, 2)
        await asyncio.sleep(SECONDS / 3)
        watched.master.kill()
        await asyncio.to_thread(until_sync, lambda: watched.has_new_master)
        await asyncio.sleep(SECONDS / 3)
        watched.master.start()  # it comes back as a replica, with a past of its own
        await workers.check_after_failover(plan)
