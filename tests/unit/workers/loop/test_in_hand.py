"""What is in hand stays its worker's as long as it beats, and work on what was lost is stopped."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.keys import HANDED_BACK, STT_GROUP, Shard
from common.redis.link import Link
from common.redis.store import Store
from common.settings import RedisSettings
from common.transitions.claims import Claim, heartbeat
from workers.loop import in_hand as module
from workers.loop.handler import Work
from workers.loop.in_hand import Hand

SHARD = Shard(0)
STREAM = SHARD.utterances
ME, OTHER = "stt-me", "stt-other"


@pytest.fixture
async def hand(store: Store) -> Hand:
    await store.redis.xgroup_create(STREAM, STT_GROUP, id="0", mkstream=True)
    link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.01)
    return Hand(store, link, STT_GROUP, ME)


async def delivered(redis: Any, deliveries: int = 1) -> Work:
    """A new entry in the claim of ME, five seconds ago."""
    entry = (await redis.xadd(STREAM, {"v": "1"})).decode()
    await redis.xreadgroup(STT_GROUP, ME, {STREAM: ">"}, count=1)
    await redis.xclaim(
        STREAM, STT_GROUP, ME, 0, [entry], idle=5_000, retrycount=deliveries, justid=True
    )
    return Work(Claim(SHARD, STREAM, entry, ME), {}, deliveries)


async def pending(store: Store, work: Work) -> dict[str, Any]:
    rows: Any = await store.redis.xpending_range(
        STREAM, STT_GROUP, work.claim.entry, work.claim.entry, 1
    )
    row: dict[str, Any] = rows[0]
    return row


async def seize(store: Store, work: Work) -> None:
    await store.redis.xclaim(STREAM, STT_GROUP, OTHER, 0, [work.claim.entry])


async def test_a_beat_makes_the_claims_young_again_and_counts_no_delivery(
    store: Store, hand: Hand
) -> None:
    work = await delivered(store.redis, deliveries=2)
    assert hand.take(work) is not None
    await hand.beat()
    row = await pending(store, work)
    assert row["time_since_delivered"] < 5_000
    assert row["times_delivered"] == 2


async def test_what_is_pending_but_not_in_hand_is_left_to_grow_old(
    store: Store, hand: Hand
) -> None:
    reply_was_lost = await delivered(store.redis)
    in_hand = await delivered(store.redis)
    hand.take(in_hand)
    await hand.beat()
    assert (await pending(store, reply_was_lost))["time_since_delivered"] >= 5_000


async def test_work_on_what_another_has_is_stopped_with_one_line(store: Store, hand: Hand) -> None:
    work = await delivered(store.redis)
    held = hand.take(work)
    assert held is not None
    held.task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]  # any work
    await seize(store, work)
    with capture_logs() as lines:
        await hand.beat()
        await hand.beat()
    assert held.lost
    with pytest.raises(asyncio.CancelledError):
        await held.task
    assert [line["event"] for line in lines] == ["claim_lost"]
    assert (await pending(store, work))["consumer"] == OTHER.encode()


async def test_a_shard_that_is_away_keeps_no_other_from_its_beat(
    store: Store, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.take(Work(Claim(Shard(1), Shard(1).utterances, "1-1", ME), {}, 1))
    work = await delivered(store.redis)
    hand.take(work)

    async def beat_but_for_shard_1(store: Store, stream: str, *claim: Any) -> set[str]:
        if stream == Shard(1).utterances:
            raise ConnectionResetError
        return await heartbeat(store, stream, *claim)

    monkeypatch.setattr(module, "heartbeat", beat_but_for_shard_1)
    with pytest.raises(ConnectionResetError):
        await hand.beat()
    assert (await pending(store, work))["time_since_delivered"] < 5_000


async def test_what_is_given_back_is_free_at_once_and_its_delivery_uncounted(
    store: Store, hand: Hand
) -> None:
    work = await delivered(store.redis, deliveries=3)
    await hand.give_back(work)
    row = await pending(store, work)
    assert row["consumer"] == HANDED_BACK.encode()
    assert row["times_delivered"] == 2
    assert row["time_since_delivered"] > 60_000


async def test_what_another_has_cannot_be_given_back(store: Store, hand: Hand) -> None:
    work = await delivered(store.redis)
    await seize(store, work)
    await hand.give_back(work)
    assert (await pending(store, work))["consumer"] == OTHER.encode()


async def test_the_same_entry_is_not_taken_twice(store: Store, hand: Hand) -> None:
    work = await delivered(store.redis)
    held = hand.take(work)
    assert held is not None
    assert hand.take(work) is None
    assert len(hand) == 1
    hand.release(held)
    again = hand.take(work)
    assert again is not None
    hand.release(held)  # late, and of another life
    assert len(hand) == 1


async def test_what_came_back_twice_wants_to_be_alone(store: Store, hand: Hand) -> None:
    hand.take(await delivered(store.redis, deliveries=2))
    told = [hand.wants_solitude]
    held = hand.take(await delivered(store.redis, deliveries=3))
    told.append(hand.wants_solitude)
    assert held is not None
    hand.release(held)
    told.append(hand.wants_solitude)
    assert told == [False, True, False]
