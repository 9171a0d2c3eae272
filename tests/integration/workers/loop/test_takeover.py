"""A dead worker's work goes on elsewhere, soon and however busy the others are; an outage of
Redis makes nobody take from the living; and what is recorded waits for what is live.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.events import Transcript
from common.keys import shard_of
from common.transitions.claims import Settled, heartbeat
from common.transitions.transcribing import settle_transcript
from ops.bench.chaos.speech import spoken_text
from tests.support.metric_samples import growth
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.worker_tasks import CLAIM_S, FOREVER_S, Engine, Shop, Worker, workshop
from workers.loop import in_hand as hand
from workers.stt import handler as stt

DURABLE = {"appendonly": "yes", "appendfsync": "always"}
JOB_S = 0.03


@pytest.fixture
async def shop(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    async with workshop(redis_server, monkeypatch) as shop:
        yield shop


async def begun(engine: Engine) -> None:
    async def look() -> bool:
        return bool(engine.calls)

    await until(look)


async def holder(shop: Shop, name: str, number: int, **worker: float) -> Worker:
    """A worker that has this number in hand for as long as the test lasts."""
    engine = Engine()
    engine.hooks[number] = shop.hold
    hired = await shop.hire(name, engine, **worker)
    await shop.publish(number, session=f"held-{number}")
    await begun(engine)
    return hired


def take_time(engine: Engine, numbers: range) -> None:
    for number in numbers:
        engine.hooks[number] = lambda: time.sleep(JOB_S)


async def test_the_work_of_a_dead_worker_is_done_by_another(shop: Shop) -> None:
    dead = await holder(shop, "w1", 0)
    other = await shop.hire("w2")
    await dead.die()
    await shop.transcribed(0)
    assert other.engine.calls == [0]


async def test_a_living_worker_keeps_what_takes_it_long(shop: Shop) -> None:
    engine = Engine()
    engine.hooks[0] = lambda: time.sleep(4 * CLAIM_S)
    await shop.hire("w1", engine)
    await shop.publish(0)
    await begun(engine)
    other = await shop.hire("w2")
    await shop.transcribed(0)
    assert engine.calls == [0]
    assert other.engine.calls == []


async def test_a_busy_worker_takes_over_too(shop: Shop) -> None:
    """New work must not go before what a dead worker has left, or that waits for the backlog."""
    dead = await holder(shop, "w1", 0)
    await dead.die()
    numbers = range(1, 101)
    for number in numbers:
        await shop.publish(number, session=f"s{number % 10}")
    engine = Engine()
    take_time(engine, numbers)
    await shop.hire("w2", engine)
    await shop.transcribed(0, *numbers)
    assert engine.calls.index(0) < 80


async def test_what_was_handed_back_goes_before_the_backlog(shop: Shop) -> None:
    leaving = await holder(shop, "w1", 0, claim_idle_s=FOREVER_S, drain_timeout_s=0.1)
    numbers = range(1, 81)
    for number in numbers:
        await shop.publish(number, session=f"s{number % 10}")
    engine = Engine()
    take_time(engine, numbers)
    await shop.hire("w2", engine, claim_idle_s=FOREVER_S)
    await leaving.leave()
    done_by_then = len(engine.calls)
    await shop.transcribed(0, *numbers)
    assert engine.calls.index(0) < done_by_then + 40


async def test_no_shard_waits_for_the_backlog_of_another(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workshop(redis_server, monkeypatch, shards=4) as shop:
        sessions: dict[int, str] = {}
        for number in range(100):
            sessions.setdefault(shard_of(f"s{number}", 4), f"s{number}")
        numbers = range(80)
        for number in numbers:
            await shop.publish(number, session=sessions[number % 4])
        engine = Engine()
        take_time(engine, numbers)
        await shop.hire("w1", engine)
        await shop.transcribed(*numbers)
        half = Counter(number % 4 for number in engine.calls[:40])
        assert min(half.values()) >= 8, half
        assert len(half) == 4


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_nothing_is_in_hand_beyond_the_room(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    async with workshop(redis_server, monkeypatch, stt={"concurrency": concurrency}) as shop:
        engine = Engine()
        for number in range(9):
            engine.hooks[number] = shop.hold
        await shop.hire("w1", engine)
        for number in range(9):
            await shop.publish(number, session=f"s{number}")

        async def full() -> bool:
            return len(engine.calls) == concurrency

        await until(full)
        await asyncio.sleep(2 * CLAIM_S)
        mine = [row for row in await shop.pending() if row["consumer"] == b"w1"]
        assert len(mine) == concurrency
        shop.blocked.set()
        await shop.transcribed(*range(9))


async def test_after_an_outage_of_redis_nobody_takes_from_the_living(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RedisServer(options=DURABLE) as server:
        async with workshop(server, monkeypatch) as shop:
            await holder(shop, "w1", 0)
            others = [await shop.hire(name) for name in ("w2", "w3")]
            server.kill()
            await asyncio.sleep(2 * CLAIM_S)
            server.start()
            await shop.publish(1, session="other")
            await shop.transcribed(1)
            # long enough for a claim of before the outage to look abandoned
            await asyncio.sleep(2 * CLAIM_S)
            assert [row["consumer"] for row in await shop.pending()] == [b"w1"]
            shop.blocked.set()
            await shop.transcribed(0, 1)
            assert 0 not in others[0].engine.calls + others[1].engine.calls


async def test_what_is_recorded_waits_for_what_is_live(shop: Shop) -> None:
    worker = await holder(shop, "w1", 0)
    for number in (1, 2, 3):
        await shop.publish(number, session="tape", recording=True)
    for number in (4, 5, 6):
        await shop.publish(number, session="live")
    shop.blocked.set()
    await shop.transcribed(*range(7))
    assert worker.engine.calls == [0, 4, 5, 6, 1, 2, 3]


async def test_recordings_that_a_worker_left_wait_for_what_is_live(shop: Shop) -> None:
    engine = Engine()
    engine.hooks[1] = shop.hold
    leaving = await shop.hire("w1", engine, drain_timeout_s=0.1)
    await shop.publish(1, session="tape", recording=True)
    await begun(engine)
    busy = await holder(shop, "w2", 0)
    await shop.publish(2, session="live")
    await leaving.leave()
    await shop.publish(3, session="live")
    shop.blocked.set()
    await shop.transcribed(0, 1, 2, 3)
    # which of the live ones is first is nowhere promised: a read without room hands back
    first, *live, last = busy.engine.calls
    assert (first, sorted(live), last) == (0, [2, 3], 1)


async def test_each_utterance_is_transcribed_once_by_however_many(shop: Shop) -> None:
    workers = [await shop.hire(f"w{number}") for number in range(4)]
    numbers = range(120)
    for number in numbers:
        await shop.publish(number, session=f"s{number % 12}")
    await shop.transcribed(*numbers)
    calls = sorted(call for worker in workers for call in worker.engine.calls)
    assert calls == list(numbers)
    by_session: dict[str, list[str]] = {}
    for event in await shop.events(Transcript):
        by_session.setdefault(event.session, []).append(event.data.text)
    assert by_session["s3"] != []
    assert {text for texts in by_session.values() for text in texts} == set(
        map(spoken_text, numbers)
    )


async def test_a_heartbeat_beside_the_settling_takes_nothing_for_lost(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the one is on its way while the other finds nothing in hand."""
    beats = 0

    async def counted(*claims: Any) -> set[str]:
        gone = await heartbeat(*claims)
        nonlocal beats
        beats += 1
        return gone

    async def answered_late(*claim: Any, **transcript: Any) -> Settled:
        settled = await settle_transcript(*claim, **transcript)
        before = beats
        await until(lambda: beats >= before + 2)
        return settled

    monkeypatch.setattr(hand, "heartbeat", counted)
    monkeypatch.setattr(stt, "settle_transcript", answered_late)
    settled = growth("earshot_settled_total", stage="stt", outcome="ok")
    await shop.hire("w1")
    with capture_logs() as lines:
        await shop.publish(1)
        await until(lambda: settled())
    assert "claim_lost" not in [line["event"] for line in lines]
