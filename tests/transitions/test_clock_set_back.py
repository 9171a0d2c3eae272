"""When the clock of the server is set back, claims age from then on: none waits until the clock has
caught up, and none is taken from a worker that sends heartbeats.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from common.keys import DEFERRED, HANDED_BACK, STT_GROUP
from common.redis.store import Store
from common.status.worker_record import read_workers
from common.transitions.claims import (
    TakeOver,
    hand_back,
    heartbeat,
    make_group,
    mend_idle,
    take_over,
)
from common.transitions.tending import due_sessions
from tests.conftest import FAST, executable
from tests.support.stepped_clock import SteppedRedis
from tests.transitions.steps import ADA, SHARD, STT, hear, hear_text, pending, read
from workers.loop.registration import Registration

LIVE: Final = SHARD.utterances
OTHER: Final = "stt-2"
CLAIM_S: Final = 10
DAY_S: Final = 24 * 3_600

pytestmark = [
    pytest.mark.parametrize("server", ["installed", "embedded"], indirect=True),
    pytest.mark.parametrize("step_s", [-600, -40 * DAY_S]),
]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[SteppedRedis]:
    with SteppedRedis(executable(request.param)) as started:
        yield started


@pytest.fixture
async def store(server: SteppedRedis) -> AsyncIterator[Store]:
    async with server.client() as client:
        yield Store(client, 1, FAST)


async def claim(store: Store) -> str:
    """An entry in the hands of STT."""
    await hear(store, "u1")
    return (await read(store))[0].entry


async def take(store: Store) -> TakeOver:
    return await take_over(store, LIVE, STT_GROUP, OTHER, claim_idle_s=CLAIM_S, limit=1)


async def test_a_claim_ages_again(server: SteppedRedis, store: Store, step_s: int) -> None:
    entry = await claim(store)
    server.step(step_s)
    assert await mend_idle(store, LIVE, STT_GROUP) == 1
    assert (await take(store)).entries == []
    server.step(step_s + CLAIM_S + 1)
    [row] = await pending(store, LIVE)
    assert (row["consumer"], row["times_delivered"]) == (STT.encode(), 1)
    assert [one.entry for one in (await take(store)).entries] == [entry]


async def test_without_mending_it_would_wait(
    server: SteppedRedis, store: Store, step_s: int
) -> None:
    await claim(store)
    server.step(step_s)
    await take(store)
    server.step(step_s + CLAIM_S + 1)
    assert (await take(store)).entries == []


async def test_mending_makes_no_claim_young(
    server: SteppedRedis, store: Store, step_s: int
) -> None:
    await claim(store)
    server.step(CLAIM_S - 1)
    assert await mend_idle(store, LIVE, STT_GROUP) == 0
    server.step(CLAIM_S + 1)
    assert (await take(store)).entries != []


async def test_a_heartbeat_keeps_a_claim(server: SteppedRedis, store: Store, step_s: int) -> None:
    entry = await claim(store)
    server.step(step_s)
    await mend_idle(store, LIVE, STT_GROUP)
    server.step(step_s + CLAIM_S - 1)
    assert await heartbeat(store, LIVE, STT_GROUP, STT, [entry]) == set()
    server.step(step_s + CLAIM_S + 1)
    assert (await take(store)).entries == []


async def test_what_was_handed_back_is_free(
    server: SteppedRedis, store: Store, step_s: int
) -> None:
    entry = await claim(store)
    await hand_back(store, LIVE, STT_GROUP, STT, [entry])
    server.step(step_s)
    await mend_idle(store, LIVE, STT_GROUP)
    [row] = await pending(store, LIVE)
    assert (row["consumer"], row["times_delivered"]) == (HANDED_BACK.encode(), 0)
    taken = await take(store)
    assert [(one.entry, one.kind) for one in taken.entries] == [(entry, "handed_back")]


async def test_what_is_deferred_is_left_alone(
    server: SteppedRedis, store: Store, step_s: int
) -> None:
    entry = await claim(store)
    await hand_back(store, LIVE, STT_GROUP, STT, [entry], pause_s=60)
    [before] = await pending(store, LIVE)
    assert await mend_idle(store, LIVE, STT_GROUP) == 0
    [after] = await pending(store, LIVE)
    assert after["consumer"] == DEFERRED.encode()
    assert after["time_since_delivered"] >= before["time_since_delivered"]
    server.step(step_s)
    assert await mend_idle(store, LIVE, STT_GROUP) == 0
    assert [one.entry for one in (await take(store)).entries] == [entry], "and waits no longer"


async def test_many_claims_are_mended(server: SteppedRedis, store: Store, step_s: int) -> None:
    """More than one page of them, of two workers."""
    redis: Any = store.redis
    await make_group(store, LIVE, STT_GROUP)
    for _ in range(250):
        await redis.xadd(LIVE, {"v": "1"})
    for consumer, count in ((STT, 130), (OTHER, 120)):
        await redis.xreadgroup(STT_GROUP, consumer, {LIVE: ">"}, count=count)
    server.step(step_s)
    assert await mend_idle(store, LIVE, STT_GROUP) == 250
    server.step(step_s + CLAIM_S)
    rows = await redis.xpending_range(LIVE, STT_GROUP, "-", "+", 1_000)
    assert min(row["time_since_delivered"] for row in rows) >= CLAIM_S * 1000


async def test_a_stream_without_group_has_nothing_to_mend(
    server: SteppedRedis, store: Store, step_s: int
) -> None:
    server.step(step_s)
    assert await mend_idle(store, LIVE, STT_GROUP) == 0


async def test_a_session_is_due(server: SteppedRedis, store: Store, step_s: int) -> None:
    await hear_text(store, "u1")
    server.step(step_s)
    assert await due_sessions(store, SHARD, 10) == [ADA]


async def test_a_record_from_the_future_shows_no_worker(
    server: SteppedRedis, store: Store, step_s: int
) -> None:
    dead, living = (Registration(store.redis, name, "stt", ttl_s=15) for name in ("w1", "w2"))
    await dead.publish()
    server.step(step_s)
    await living.publish()
    assert [worker.name for worker in await read_workers(store.redis)] == ["w2"]
