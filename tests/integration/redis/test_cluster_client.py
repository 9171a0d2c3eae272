"""While one master of a Redis Cluster hangs or is gone, commands for keys of the other masters are
answered as ever: each command asks the node of its key and no other.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pytest
from redis.exceptions import RedisClusterException, RedisError

from common.redis.client import connect
from common.redis.server import now_ms
from common.settings import RedisSettings
from tests.support.redis_cluster import MASTERS, RedisCluster
from tests.support.redis_nodes import RedisNode
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(240)

ROUNDS: Final = 10
EVERY_MASTER: Final = pytest.mark.parametrize("which", range(MASTERS))


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    """Three masters without replicas: nobody takes the place of one that is away."""
    with RedisCluster() as started:
        yield started


def key_of(cluster: RedisCluster, master: RedisNode) -> str:
    return next(key for key in map(str, range(1_000)) if cluster.find_master(key) is master)


def client_of(cluster: RedisCluster) -> Any:
    return connect(RedisSettings(url=cluster.url))


async def use(redis: Any, key: str) -> None:
    """Every way in which earshot finds the node of a key."""
    entry = await redis.xadd(key, {"a": "b"})
    await redis.xread({key: "0"}, count=1)
    await redis.xreadgroup("group", "me", {key: ">"}, count=1)
    assert await redis.eval("return redis.call('XDEL', KEYS[1], ARGV[1])", 1, key, entry) == 1
    await now_ms(redis, key)


async def prepare(redis: Any, key: str) -> None:
    with suppress(RedisError):
        await redis.xgroup_create(key, "group", mkstream=True)


async def ask_in_vain(redis: Any, key: str) -> None:
    with pytest.raises((RedisError, RedisClusterException, OSError)):
        await redis.get(key + "{" + key + "}")


@EVERY_MASTER
async def test_a_master_that_hangs_delays_no_other(cluster: RedisCluster, which: int) -> None:
    hanging = cluster.nodes[which]
    keys = [key_of(cluster, node) for node in cluster.nodes if node is not hanging]
    redis = client_of(cluster)
    for key in keys:
        await prepare(redis, key)
        await use(redis, key)
    hanging.freeze()
    try:
        for _ in range(2):  # the second time the client wants to know the map of the cluster anew
            in_vain = asyncio.create_task(ask_in_vain(redis, key_of(cluster, hanging)))
            for _ in range(ROUNDS):
                for key in keys:
                    await use(redis, key)
            assert not in_vain.done(), "no command waited for the one that hangs"
            await in_vain
    finally:
        hanging.thaw()
        await redis.aclose()
        await until(lambda: cluster.is_whole)


@EVERY_MASTER
async def test_a_master_that_is_gone_breaks_no_read_on_another(
    cluster: RedisCluster, which: int
) -> None:
    gone = cluster.nodes[which]
    keys = [key_of(cluster, node) for node in cluster.nodes if node is not gone]
    redis = client_of(cluster)
    for key in keys:
        await prepare(redis, key)
        await use(redis, key)
    gone.kill()
    try:
        reads = [asyncio.create_task(redis.xread({key: "$"}, block=4_000)) for key in keys]
        for _ in range(ROUNDS):
            await ask_in_vain(redis, key_of(cluster, gone))
            for key in keys:
                await redis.set("{" + key + "}", "1")
        for key in keys:
            await redis.xadd(key, {"a": "b"})
        assert all(await asyncio.gather(*reads))
    finally:
        gone.start()
        await redis.aclose()
        await until(lambda: cluster.is_whole)


@EVERY_MASTER
async def test_a_client_can_begin_while_a_master_is_away(cluster: RedisCluster, which: int) -> None:
    gone = cluster.nodes[which]
    keys = [key_of(cluster, node) for node in cluster.nodes if node is not gone]
    gone.kill()
    redis = client_of(cluster)
    try:
        for key in keys:
            await prepare(redis, key)
            await use(redis, key)
    finally:
        gone.start()
        await redis.aclose()
        await until(lambda: cluster.is_whole)
