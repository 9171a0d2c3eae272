"""With Redis away, full or restarted, or its answers lost, what was said waits on the mic host's
disk and goes out in order, nothing twice, nothing lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.keys import STT_GROUP
from common.redis.client import connect
from common.redis.link import Link
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.transitions.tending import tend
from common.transitions.transcribing import settle_utterance
from producer.shipping import shipper as shipping
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from tests.integration.producer.answer_losing_proxy import AnswerLosingProxy
from tests.integration.producer.waiting_utterances import (
    SHARD,
    fill_outbox,
    heard_events,
    heard_ids,
    make_utterance,
)
from tests.support.command_line import DEADLINE_S
from tests.support.redis_server import RedisServer
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "FULL_PAUSE_S", 0.01)
    monkeypatch.setattr(shipping, "FULL_PAUSE_MAX_S", 0.05)


@asynccontextmanager
async def _shipping(
    outbox: Outbox, url: str, limits: LimitSettings | None = None
) -> AsyncIterator[Shipper]:
    settings = RedisSettings(url=url)
    store = Store(connect(settings), 1, limits or LimitSettings())
    shipper = Shipper(store, Link(store.redis, settings, max_pause_s=0.1), outbox)
    task = asyncio.create_task(shipper.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield shipper
    finally:
        task.cancel()
        ends = await asyncio.gather(task, return_exceptions=True)
        await store.redis.aclose()
    assert isinstance(ends[0], asyncio.CancelledError)


async def _transcribe_all(store: Store) -> None:
    """As an STT worker does: read, settle."""
    redis: Any = store.redis
    while rows := await redis.xreadgroup(STT_GROUP, "stt-1", {SHARD.utterances: ">"}):
        for entry, fields in rows[0][1]:
            await settle_utterance(
                store,
                Claim(SHARD, SHARD.utterances, entry.decode(), "stt-1"),
                session="s1",
                turn=int(fields[b"turn"]),
                utterance=fields[b"id"].decode(),
                text="hello",
                stt_ms=1,
                detail={},
            )


# -- Redis away


async def test_with_redis_away_from_the_start_everything_waits(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    redis_server.kill()
    names = [f"u{number}" for number in range(20)]
    fill_outbox(outbox, *names[:10])
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url) as shipper:
            await until(lambda: [line for line in logs if line["event"] == "redis_is_away"])
            fill_outbox(outbox, *names[10:])  # hearing goes on
            shipper.added()
            assert len(outbox) == 20
            await asyncio.to_thread(redis_server.start)
            await shipper.drained()
    assert heard_ids(redis_server) == names
    changes = [line["event"] for line in logs if line["event"].startswith("redis")]
    assert changes == ["redis_is_away", "redis_is_back"]


async def test_restarts_in_the_middle_lose_and_repeat_nothing(outbox: Outbox) -> None:
    names = [f"u{number}" for number in range(60)]
    fill_outbox(outbox, *names)
    options = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer(options=options) as server:
        async with _shipping(outbox, server.url) as shipper:
            for part in (15, 30, 45):
                await until(lambda: shipper.sent >= part)  # noqa: B023  # it is used at once
                await asyncio.to_thread(server.restart)
            await shipper.drained()
        assert heard_ids(server) == names


async def test_the_wait_counts_into_the_age(redis_server: RedisServer, outbox: Outbox) -> None:
    outbox.add(make_utterance("old"), age_s=5)
    async with _shipping(outbox, redis_server.url) as shipper:
        await shipper.drained()
    (heard,) = heard_events(redis_server)
    assert 5_000 <= heard.at - heard.data.spoken_at < 5_000 + DEADLINE_S * 1_000


# -- lost answers


async def test_a_lost_answer_repeats_nothing(redis_server: RedisServer, outbox: Outbox) -> None:
    names = [f"u{number}" for number in range(30)]
    fill_outbox(outbox, *names)
    async with AnswerLosingProxy(redis_server, every=3) as proxy:
        async with _shipping(outbox, proxy.url) as shipper:
            await shipper.drained()
        assert proxy.lost >= 10
    assert heard_ids(redis_server) == names
    with redis_server.sync_client() as client:
        assert client.xlen(SHARD.utterances) == 30


async def test_a_lost_answer_repeats_nothing_after_the_turn_has_ended(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    """The producer comes back late: the utterance was transcribed long ago."""
    utterance = make_utterance("a", answer=False)
    async with redis_server.client() as client:
        store = Store(client, 1, LimitSettings())
        await client.xgroup_create(SHARD.utterances, STT_GROUP, "0", mkstream=True)
        await publish(store, utterance)
        await _transcribe_all(store)
    outbox.add(utterance, age_s=0)
    async with _shipping(outbox, redis_server.url) as shipper:
        await shipper.drained()
    assert heard_ids(redis_server) == ["a"]
    with redis_server.sync_client() as client:
        assert client.xlen(SHARD.utterances) == 0


# -- full, closed, refused


async def test_a_full_backlog_keeps_the_rest_in_order_until_there_is_room(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    names = [f"u{number}" for number in range(10)]
    fill_outbox(outbox, *names)
    limits = LimitSettings(max_backlog=3, max_unanswered=100)
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url, limits) as shipper:
            await until(lambda: [line for line in logs if line["event"] == "kept_in_outbox"])
            assert heard_ids(redis_server) == names[:3]
            assert len(outbox) == 7
            async with redis_server.client() as client:
                store = Store(client, 1, limits)
                await client.xgroup_create(SHARD.utterances, STT_GROUP, "0")
                while shipper.sent < 10:
                    await _transcribe_all(store)
                    await asyncio.sleep(0.01)
            await shipper.drained()
    assert heard_ids(redis_server) == names
    told = next(line for line in logs if line["event"] == "kept_in_outbox")
    assert told["why"] == "the backlog holds 3 utterances"
    assert told["waiting"] == 7
    assert "backlog_has_room_again" in [line["event"] for line in logs]


async def test_too_many_unanswered_turns_keep_the_rest_as_well(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    fill_outbox(outbox, "a", "b", "c")
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url, LimitSettings(max_unanswered=2)):
            await until(lambda: [line for line in logs if line["event"] == "kept_in_outbox"])
    assert heard_ids(redis_server) == ["a", "b"]
    assert len(outbox) == 1
    why = next(line["why"] for line in logs if line["event"] == "kept_in_outbox")
    assert why == "the session has 2 unanswered turns"


async def test_what_was_said_survives_the_end_of_its_turn(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    """An eager turn whose producer was away for too long has ended: it becomes a new one."""
    utterance = make_utterance("a")
    async with redis_server.client() as client:
        store = Store(client, 1, LimitSettings(turn_timeout_s=0.001, tend_after_s=0.001))
        await publish(store, utterance.model_copy(update={"final": False}))
        while int(await client.hget(SHARD.session("s1"), "done") or 0) < 1:
            await asyncio.sleep(0.01)
            await tend(store, "s1")
    outbox.add(utterance, age_s=0)
    async with _shipping(outbox, redis_server.url) as shipper:
        await shipper.drained()
    first, again = heard_events(redis_server)
    assert first.id == "a"
    assert again.id != "a"
    assert again.turn == 2


async def test_what_is_refused_is_parked_and_not_in_the_way(
    redis_server: RedisServer, outbox: Outbox
) -> None:
    fill_outbox(outbox, "a", "b", "c")
    with redis_server.sync_client() as client:
        client.lpush(SHARD.seen("b"), "something else")
    with capture_logs() as logs:
        async with _shipping(outbox, redis_server.url) as shipper:
            await shipper.drained()
    assert heard_ids(redis_server) == ["a", "c"]
    assert len(outbox) == 0
    (parked,) = [line for line in logs if line["event"] == "utterance_parked"]
    assert parked["utterance"] == "b"
    assert "holds a list, not a string" in parked["why"]
