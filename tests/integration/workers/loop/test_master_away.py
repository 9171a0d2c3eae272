"""While one master of a Redis Cluster is away, its shards wait and all others go on: what a killed
worker held there is taken over, new workers start, and the log says once of each shard that it is
away and once that it is back.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from common.keys import SHARDS as SHARDS_KEY
from common.keys import WORKERS, Shard, shard_number, worker_key
from common.transitions.publishing import publish
from common.utterance import Utterance
from ops.bench.chaos.proxy import Proxy
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_nodes import RedisNode
from tests.support.waiting import until
from tests.support.worker_tasks import HookedEngine, WorkerTask, WorkerTasks
from workers.loop.consumer_loop import HEARTBEATS_PER_CLAIM

pytestmark = pytest.mark.timeout(240)

SHARDS: Final = 6
CLAIM_S: Final = 3.0
"""Short enough for a test, and long enough for a machine that stalls."""

HELD: Final = (1, 2, 3, 4)


@pytest.fixture
def cluster() -> Iterator[RedisCluster]:
    """Three masters without replicas: nobody takes the place of one that is away."""
    with RedisCluster() as started:
        yield started


@pytest.fixture
async def workers(cluster: RedisCluster) -> AsyncIterator[WorkerTasks]:
    values = {"worker": {"claim_idle_s": CLAIM_S}, "stt": {"concurrency": len(HELD)}}
    server: Any = cluster
    workers = WorkerTasks(server, shards=SHARDS, values=values)
    yield workers
    await workers.close()


def session_on(*shards: int) -> Iterator[str]:
    """Sessions of these shards, in turn."""
    for shard in itertools.cycle(shards):
        names = (f"s{number}" for number in itertools.count())
        yield next(name for name in names if shard_number(name, SHARDS) == shard)


def said(logs: list[Any], event: str) -> Counter[int]:
    """How often the log said this of each shard."""
    lines = (line for line in logs if line["event"] == event)
    return Counter(line["shard"] for line in lines if "shard" in line)


def of_others(logs: list[Any], away: Sequence[int]) -> list[Any]:
    """Lines that say that something else is away: a shard that is there, or all of Redis."""
    lines = [line for line in logs if line["event"] == "redis_is_away" and "part" not in line]
    return [line for line in lines if line.get("shard") not in away]


def names_on_others(cluster: RedisCluster, master: RedisNode) -> Iterator[str]:
    """Names of workers whose records, which the test reads, are not on this master."""
    names = (f"w{number}" for number in itertools.count())
    return (name for name in names if cluster.find_master(worker_key(name)) is not master)


@pytest.mark.parametrize(
    "key",
    [
        WORKERS,
        pytest.param(SHARDS_KEY, marks=pytest.mark.full),
        pytest.param(Shard(0).open, marks=pytest.mark.full),
    ],
)
async def test_the_shards_of_the_other_masters_go_on(
    cluster: RedisCluster, workers: WorkerTasks, key: str
) -> None:
    """Whichever other keys are away with its shards."""
    master = cluster.find_master(key)
    await go_on_without(master, master.kill, master.start, cluster, workers)


async def test_a_frozen_master_holds_up_nobody_either(
    cluster: RedisCluster, workers: WorkerTasks
) -> None:
    master = cluster.find_master(WORKERS)
    await go_on_without(master, master.freeze, master.thaw, cluster, workers)


@pytest.mark.full
async def test_nor_does_one_whose_packets_are_lost(
    cluster: RedisCluster, workers: WorkerTasks
) -> None:
    """The other masters still see it: nobody says that it has failed."""
    master = cluster.find_master(Shard(0).open)
    async with Proxy(cluster.socket_of(master)) as proxy:
        await asyncio.to_thread(cluster.announce, master, proxy.port)
        await go_on_without(master, proxy.freeze, proxy.thaw, cluster, workers)
        await workers.close()


async def go_on_without(
    master: RedisNode,
    take_away: Callable[[], None],
    bring_back: Callable[[], None],
    cluster: RedisCluster,
    workers: WorkerTasks,
) -> None:
    names = names_on_others(cluster, master)
    away = cluster.shards_of(master, SHARDS)
    there = [shard for shard in range(SHARDS) if shard not in away]
    assert away
    assert there
    engine = HookedEngine()
    engine.hooks = dict.fromkeys(HELD, workers.hold)
    doomed = await workers.start(next(names), engine)
    for number, session in zip(HELD, session_on(*there), strict=False):
        await workers.publish(number, session=session)
    await until(lambda: len(engine.calls) == len(HELD))
    other = await workers.start(next(names))

    with capture_logs() as logs:
        take_away()
        await until(lambda: said(logs, "redis_is_away").keys() >= set(away))
        await doomed.kill()
        await until(lambda: sorted(other.engine.calls) == list(HELD))
        late = await workers.start(next(names))
        await let_one_keep_its_claim(workers, there[0], other, late)
        await let_a_session_be_repaired(workers, there[-1])
        await other.kill()
        await workers.publish(6, session=next(session_on(there[-1])))
        await until(lambda: 6 in late.engine.calls)
    assert of_others(logs, away) == []
    assert said(logs, "redis_is_back") == {}, "so each worker says once that a shard is away"

    with capture_logs() as logs:
        bring_back()
        await until(lambda: said(logs, "redis_is_back").keys() >= set(away))
        await workers.publish(7, session=next(session_on(away[0])))
        await until(lambda: 7 in late.engine.calls)
    assert said(logs, "redis_is_away") == {}
    assert said(logs, "redis_is_back") == dict.fromkeys(away, 1)


async def let_one_keep_its_claim(workers: WorkerTasks, shard: int, *pair: WorkerTask) -> None:
    """One of two workers is busy for longer than a claim lasts. Its heartbeats keep the claim."""
    for worker in pair:
        worker.engine.hooks[5] = workers.hold
    workers.released.clear()
    await workers.publish(5, session=next(session_on(shard)))
    await until(lambda: any(5 in worker.engine.calls for worker in pair))
    heartbeats, idle_ms = 0, 0
    while heartbeats < 2 * HEARTBEATS_PER_CLAIM:
        (claim,) = await workers.pending(Shard(shard).utterances)
        heartbeats += claim["time_since_delivered"] < idle_ms
        idle_ms = claim["time_since_delivered"]
        await asyncio.sleep(0.01)
    workers.released.set()
    await until(lambda: workers.pending(Shard(shard).utterances), lambda claims: not claims)
    assert sum(worker.engine.calls.count(5) for worker in pair) == 1


async def let_a_session_be_repaired(workers: WorkerTasks, shard: int) -> None:
    redis: Any = workers.store.redis
    await publish(workers.store, Utterance(id="u", session=next(session_on(shard)), text="Hello"))
    await redis.delete(Shard(shard).turns)
    await until(lambda: redis.xlen(Shard(shard).turns))
