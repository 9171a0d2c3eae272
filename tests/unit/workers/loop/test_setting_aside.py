"""What cannot be read stops nobody but itself: a session that cannot be tended is set aside, with
its reason, and comes back when it is in order; a foreign key stops neither other streams nor other
steps.
"""

import asyncio
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from common.keys import HANDED_BACK, STT_GROUP, Shard
from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from common.status.backlog_metrics import families
from common.status.snapshot import take_snapshot
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.conftest import FAST
from tests.support.waiting import until
from workers.loop import caretaker as module
from workers.loop.caretaker import SESSIONS_AT_ONCE, Caretaker

SHARD: Final = Shard(0)
MANY: Final = 3 * SESSIONS_AT_ONCE


def caretaker_for(store: Store) -> Caretaker:
    link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.01)
    return Caretaker(store, link, "me", claim_idle_s=0.0001)


@pytest.fixture
def redis(store: Store) -> Any:
    return store.redis


async def speak(store: Store, *sessions: str) -> None:
    """A turn in each session, whose audio vanishes before it is due."""
    for session in sessions:
        said = Utterance(
            id=f"u-{session}", session=session, audio=b"ab", samples=1, codec="pcm_s16le"
        )
        await publish(store, said)
        redis: Any = store.redis
        await redis.delete(SHARD.utterances)
        await redis.zadd(SHARD.open, {session: 0})


async def endings(redis: Any) -> list[str]:
    """The sessions whose turn has ended, in order."""
    rows = await redis.xrange(SHARD.results)
    return [f[b"session"].decode() for _, f in rows if f[b"type"] == b"error"]


BREAK: Final = {
    "a foreign key": lambda redis, session: redis.set(SHARD.history(session), "not ours"),
    "counters that cannot be right": lambda redis, session: redis.hset(
        SHARD.session(session), "last", "many"
    ),
    "turns that nobody published": lambda redis, session: redis.hset(
        SHARD.session(session), mapping={"done": "1", "last": "99000"}
    ),
}
MEND: Final = {
    "a foreign key": lambda redis, session: redis.delete(SHARD.history(session)),
    "counters that cannot be right": lambda redis, session: redis.hset(
        SHARD.session(session), "last", "1"
    ),
    "turns that nobody published": lambda redis, session: redis.hset(
        SHARD.session(session), mapping={"done": "0", "last": "1"}
    ),
}


@pytest.mark.parametrize("fault", BREAK)
async def test_however_many_cannot_be_tended_the_others_are(
    store: Store, redis: Any, fault: str
) -> None:
    broken = [f"broken-{number:03}" for number in range(MANY)]
    await speak(store, *broken, "zoe")
    for session in broken:
        await BREAK[fault](redis, session)
    caretaker = caretaker_for(store)
    with capture_logs() as logs:
        for _ in range(MANY // SESSIONS_AT_ONCE + 1):
            await caretaker.tend(SHARD)
    assert await endings(redis) == ["zoe"]
    assert await redis.zcard(SHARD.open) == 0
    said = [line["session"] for line in logs if line["event"] == "session_set_aside"]
    assert sorted(said) == broken

    snapshot = await take_snapshot(store)
    assert snapshot.set_aside_count == MANY
    assert 0 < len(snapshot.set_aside) <= MANY
    assert all(name in broken and "the key " in why for name, why in snapshot.set_aside.items())
    named = {family.name: family for family in families(snapshot)}
    metric = named["earshot_set_aside_sessions"]
    assert [sample.value for sample in metric.samples] == [MANY]


@pytest.mark.parametrize("fault", BREAK)
async def test_a_session_comes_back_when_it_is_in_order(
    store: Store, redis: Any, fault: str
) -> None:
    await speak(store, "ada")
    await BREAK[fault](redis, "ada")
    caretaker = caretaker_for(store)
    with capture_logs() as logs:
        for _ in range(3):
            await caretaker.tend(SHARD)
            await caretaker.retry(SHARD)
    assert [line["event"] for line in logs] == ["session_set_aside"], "said once"
    await MEND[fault](redis, "ada")
    with capture_logs() as logs:
        await caretaker.retry(SHARD)
    assert [line["how"] for line in logs] == [["lost", "released"]]
    assert await endings(redis) == ["ada"]
    assert (await take_snapshot(store)).set_aside_count == 0


async def test_what_is_no_session_of_this_shard_is_not_due_any_more(
    store: Store, redis: Any
) -> None:
    await speak(store, "zoe")
    await redis.zadd(
        SHARD.open,
        {name: -number for number, name in enumerate([b"\xff\xfe", b"a b", b"x" * 500, b""])},
    )
    with capture_logs() as logs:
        await caretaker_for(store).tend(SHARD)
    assert await endings(redis) == ["zoe"]
    assert await redis.zcard(SHARD.open) == 0
    assert [line["event"] for line in logs].count("no_session") == 4
    two = Store(store.redis, 2, FAST)
    stray = next(name for name in ("a", "b", "c", "d") if two.shard(name).number == 1)
    await redis.zadd(SHARD.open, {stray: 0})
    await caretaker_for(two).tend(SHARD)
    assert await redis.zcard(SHARD.open) == 0


@pytest.mark.parametrize("score", ["inf", "-inf", "1e300", "9e15"])
async def test_a_session_is_due_whatever_its_time(store: Store, redis: Any, score: str) -> None:
    await speak(store, "zoe")
    await redis.zadd(SHARD.open, {"zoe": score})
    await caretaker_for(store).tend(SHARD)
    assert await endings(redis) == ["zoe"]


async def test_where_nothing_can_be_set_aside_the_others_are_tended(
    store: Store, redis: Any
) -> None:
    broken = [f"broken-{number:03}" for number in range(SESSIONS_AT_ONCE)]
    await speak(store, *broken, "zoe")
    for session in broken:
        await redis.hset(SHARD.session(session), "last", "many")
    await redis.set(SHARD.quarantine, "not ours")
    caretaker = caretaker_for(store)
    for _ in range(2):
        await caretaker.tend(SHARD)
    assert await endings(redis) == ["zoe"]
    assert await redis.zcard(SHARD.open) == SESSIONS_AT_ONCE, "they are due again later"


@pytest.mark.parametrize("key", ["results", "deltas", "dead"])
async def test_a_foreign_key_stops_no_other_trimming(store: Store, redis: Any, key: str) -> None:
    limits = {"results_age_s": 1e-3, "deltas_age_s": 1e-3, "dead_age_s": 1e-3}
    tight = Store(redis, 1, FAST.model_copy(update=limits))
    streams = {name: getattr(SHARD, name) for name in ("results", "deltas", "dead")}
    await redis.set(streams.pop(key), "not ours")
    for stream in streams.values():
        for number in range(300):
            await redis.xadd(stream, {"v": "1"}, id=f"1-{number + 1}")
    with pytest.raises(Exception, match="holds a string"):
        await caretaker_for(tight).trim(SHARD)
    for stream in streams.values():
        assert await redis.xlen(stream) < 200, "XTRIM with ~ leaves less than a node of 100"


async def test_each_step_goes_its_own_way(
    store: Store, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tending and trimming fail, and the consumers of dead processes go all the same."""
    for name in ("TEND_EVERY_S", "TRIM_EVERY", "RETRY_EVERY", "REMOVE_EVERY"):
        monkeypatch.setattr(module, name, 0.001 if name.endswith("_S") else 1)
    for key in (SHARD.open, SHARD.results, SHARD.dead):
        await redis.set(key, "not ours")
    await redis.set(SHARD.turns, "not ours")
    for stream in (SHARD.utterances, SHARD.recordings):
        await redis.xgroup_create(stream, STT_GROUP, id="0", mkstream=True)
        for consumer in (b"gone-1", b"gone-\xff", b"gone-2", HANDED_BACK.encode()):
            await redis.xgroup_createconsumer(stream, STT_GROUP, consumer)

    async def swept() -> bool:
        rows = [
            row
            for stream in (SHARD.utterances, SHARD.recordings)
            for row in await redis.xinfo_consumers(stream, STT_GROUP)
        ]
        return all(row["name"] == HANDED_BACK.encode() for row in rows)

    with capture_logs() as logs:
        task = asyncio.create_task(caretaker_for(store).run())
        await until(swept)
        seen = len(logs)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    failures = [(line["step"], line["shard"]) for line in logs if line["event"] == "tending_failed"]
    assert len(failures) == len(set(failures)), "each is said once"
    assert len(logs) == seen
