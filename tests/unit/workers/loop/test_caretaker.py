"""What nobody holds is looked after, whoever is left: sessions mended, old things trimmed, the
consumers of dead processes swept, never one that still has claims.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.keys import HANDED_BACK, LLM_GROUP, STT_GROUP, Shard
from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.conftest import FAST
from workers.loop import caretaker as module
from workers.loop.caretaker import Caretaker

SHARD = Shard(0)
ME = "stt-me"


def caretaker_for(store: Store, *, claim_idle_s: float = 0.0001) -> Caretaker:
    link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.01)
    return Caretaker(store, link, ME, claim_idle_s=claim_idle_s)


@pytest.fixture
async def redis(store: Store) -> Any:
    await store.redis.xgroup_create(SHARD.utterances, STT_GROUP, id="0", mkstream=True)
    await store.redis.xgroup_create(SHARD.turns, LLM_GROUP, id="0", mkstream=True)
    return store.redis


async def consumers(redis: Any) -> list[str]:
    rows = await redis.xinfo_consumers(SHARD.utterances, STT_GROUP)
    return sorted(row["name"].decode() for row in rows)


async def grown_old(redis: Any, names: Sequence[str]) -> None:
    """Wait until nobody called so has done anything for a few milliseconds."""
    async with asyncio.timeout(10):
        while True:
            rows = await redis.xinfo_consumers(SHARD.utterances, STT_GROUP)
            if all(row["idle"] > 5 for row in rows if row["name"].decode() in names):
                return
            await asyncio.sleep(0.002)


async def test_the_dead_are_swept_and_nobody_else(store: Store, redis: Any) -> None:
    names = ["stt-dead", ME, HANDED_BACK]
    for name in names:
        await redis.xgroup_createconsumer(SHARD.utterances, STT_GROUP, name)
    await grown_old(redis, names)
    await caretaker_for(store).remove_dead_consumers(SHARD.utterances, STT_GROUP)
    assert await consumers(redis) == sorted([ME, HANDED_BACK])


async def test_who_read_lately_stays(store: Store, redis: Any) -> None:
    await redis.xgroup_createconsumer(SHARD.utterances, STT_GROUP, "stt-idle")
    await caretaker_for(store, claim_idle_s=60).remove_dead_consumers(SHARD.utterances, STT_GROUP)
    assert await consumers(redis) == ["stt-idle"]


async def test_who_died_with_work_in_hand_stays_until_it_is_taken_over(
    store: Store, redis: Any
) -> None:
    await redis.xadd(SHARD.utterances, {"v": "1"})
    await redis.xreadgroup(STT_GROUP, "stt-dead", {SHARD.utterances: ">"})
    await grown_old(redis, ["stt-dead"])
    await caretaker_for(store).remove_dead_consumers(SHARD.utterances, STT_GROUP)
    assert await consumers(redis) == ["stt-dead"]


async def test_a_stream_that_is_not_there_has_no_dead_consumers(store: Store) -> None:
    await caretaker_for(store).remove_dead_consumers(SHARD.recordings, STT_GROUP)


async def test_a_session_whose_audio_vanished_goes_on_and_that_is_said(
    store: Store, redis: Any
) -> None:
    said = Utterance(id="u1", session="s", samples=1, audio=b"ab", codec="pcm_s16le")
    await publish(store, said)
    await redis.delete(SHARD.utterances)
    with capture_logs() as lines:
        async with asyncio.timeout(10):
            while await redis.zcard(SHARD.open):
                await caretaker_for(store).tend(SHARD)
    assert [(line["event"], line["how"]) for line in lines] == [("session_mended", ["lost"])]


async def test_what_a_count_limit_cost_is_said_aloud(store: Store, redis: Any) -> None:
    tight = Store(redis, 1, FAST.model_copy(update={"dead_max": 2}))
    for number in range(5):
        await redis.xadd(SHARD.dead, {"id": number})
    with capture_logs() as lines:
        await caretaker_for(tight).trim(SHARD)
    assert await redis.xlen(SHARD.dead) == 2
    assert [(line["event"], line["of"], line["count"]) for line in lines] == [
        ("oldest_dropped", "dead", 3)
    ]


async def test_trouble_with_one_shard_leaves_none_of_the_others_alone(
    store: Store, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TEND_EVERY_S", 0.001)
    two = Store(redis, 2, FAST)
    seen: list[int] = []
    both = asyncio.Event()

    class Clumsy(Caretaker):
        async def tend(self, shard: Shard) -> None:
            seen.append(shard.number)
            if min(map(seen.count, (0, 1))) > 2:
                both.set()
            if shard.number == 0:
                raise RuntimeError("this shard is odd")

    link = Link(redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.01)
    task = asyncio.create_task(Clumsy(two, link, ME, claim_idle_s=1).run())
    async with asyncio.timeout(10):
        await both.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_session_that_cannot_be_tended_holds_up_no_other(store: Store, redis: Any) -> None:
    for session in ("aaa", "bbb"):
        await publish(
            store,
            Utterance(
                id=f"u-{session}", session=session, audio=b"ab", samples=1, codec="pcm_s16le"
            ),
        )
    await redis.set(SHARD.history("aaa"), "not ours")
    for session in ("aaa", "bbb"):
        await redis.zadd(SHARD.open, {session: 0})
    await redis.delete(SHARD.utterances)
    with capture_logs() as logs:
        await caretaker_for(store).tend(SHARD)
    assert [line["session"] for line in logs if line["event"] == "session_set_aside"] == ["aaa"]
    assert [line["session"] for line in logs if line["event"] == "session_mended"] == ["bbb"]
