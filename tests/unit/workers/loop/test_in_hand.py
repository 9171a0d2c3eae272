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
from workers.loop.handler import Delivery
from workers.loop.in_hand import EntriesInHand

SHARD = Shard(0)
STREAM = SHARD.utterances
ME, OTHER = "stt-me", "stt-other"


@pytest.fixture
async def in_hand(store: Store) -> EntriesInHand:
    await store.redis.xgroup_create(STREAM, STT_GROUP, id="0", mkstream=True)
    link = Link(store.redis, RedisSettings(url="redis://nowhere"), max_pause_s=0.01)
    return EntriesInHand(store, link, STT_GROUP, ME)


async def delivered(redis: Any, deliveries: int = 1) -> Delivery:
    """A new entry in the claim of ME, five seconds ago."""
    entry = (await redis.xadd(STREAM, {"v": "1"})).decode()
    await redis.xreadgroup(STT_GROUP, ME, {STREAM: ">"}, count=1)
    await redis.xclaim(
        STREAM, STT_GROUP, ME, 0, [entry], idle=5_000, retrycount=deliveries, justid=True
    )
    return Delivery(Claim(SHARD, STREAM, entry, ME), {}, deliveries)


async def pending(store: Store, delivery: Delivery) -> dict[str, Any]:
    rows: Any = await store.redis.xpending_range(
        STREAM, STT_GROUP, delivery.claim.entry, delivery.claim.entry, 1
    )
    row: dict[str, Any] = rows[0]
    return row


async def seize(store: Store, delivery: Delivery) -> None:
    await store.redis.xclaim(STREAM, STT_GROUP, OTHER, 0, [delivery.claim.entry])


async def test_a_beat_makes_the_claims_young_again_and_counts_no_delivery(
    store: Store, in_hand: EntriesInHand
) -> None:
    delivery = await delivered(store.redis, deliveries=2)
    assert in_hand.add(delivery) is not None
    await in_hand.send_heartbeats(SHARD)
    row = await pending(store, delivery)
    assert row["time_since_delivered"] < 5_000
    assert row["times_delivered"] == 2


async def test_what_is_pending_but_not_in_hand_is_left_to_grow_old(
    store: Store, in_hand: EntriesInHand
) -> None:
    reply_was_lost = await delivered(store.redis)
    taken = await delivered(store.redis)
    in_hand.add(taken)
    await in_hand.send_heartbeats(SHARD)
    assert (await pending(store, reply_was_lost))["time_since_delivered"] >= 5_000


async def test_work_on_what_another_has_is_stopped_with_one_line(
    store: Store, in_hand: EntriesInHand
) -> None:
    delivery = await delivered(store.redis)
    entry = in_hand.add(delivery)
    assert entry is not None
    entry.task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]  # any work
    await seize(store, delivery)
    with capture_logs() as lines:
        await in_hand.send_heartbeats(SHARD)
        await in_hand.send_heartbeats(SHARD)
    assert entry.lost
    with pytest.raises(asyncio.CancelledError):
        await entry.task
    assert [line["event"] for line in lines] == ["claim_lost"]
    assert (await pending(store, delivery))["consumer"] == OTHER.encode()


async def test_a_stream_that_fails_keeps_no_other_from_its_beat(
    store: Store, in_hand: EntriesInHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_hand.add(Delivery(Claim(SHARD, SHARD.recordings, "1-1", ME), {}, 1))
    delivery = await delivered(store.redis)
    in_hand.add(delivery)

    async def beat_but_for_recordings(store: Store, stream: str, *claim: Any) -> set[str]:
        if stream == SHARD.recordings:
            raise ConnectionResetError
        return await heartbeat(store, stream, *claim)

    monkeypatch.setattr(module, "heartbeat", beat_but_for_recordings)
    with pytest.raises(ConnectionResetError):
        await in_hand.send_heartbeats(SHARD)
    assert (await pending(store, delivery))["time_since_delivered"] < 5_000


async def test_what_is_given_back_is_free_at_once_and_its_delivery_uncounted(
    store: Store, in_hand: EntriesInHand
) -> None:
    delivery = await delivered(store.redis, deliveries=3)
    await in_hand.hand_back(delivery)
    row = await pending(store, delivery)
    assert row["consumer"] == HANDED_BACK.encode()
    assert row["times_delivered"] == 2
    assert row["time_since_delivered"] > 60_000


async def test_what_another_has_cannot_be_given_back(store: Store, in_hand: EntriesInHand) -> None:
    delivery = await delivered(store.redis)
    await seize(store, delivery)
    await in_hand.hand_back(delivery)
    assert (await pending(store, delivery))["consumer"] == OTHER.encode()


async def test_the_same_entry_is_not_taken_twice(store: Store, in_hand: EntriesInHand) -> None:
    delivery = await delivered(store.redis)
    entry = in_hand.add(delivery)
    assert entry is not None
    assert in_hand.add(delivery) is None
    assert len(in_hand) == 1
    in_hand.remove(entry)
    again = in_hand.add(delivery)
    assert again is not None
    in_hand.remove(entry)  # late, and of another life
    assert len(in_hand) == 1


async def test_what_came_back_twice_wants_to_be_alone(store: Store, in_hand: EntriesInHand) -> None:
    in_hand.add(await delivered(store.redis, deliveries=2))
    seen = [in_hand.has_exclusive]
    entry = in_hand.add(await delivered(store.redis, deliveries=3))
    seen.append(in_hand.has_exclusive)
    assert entry is not None
    in_hand.remove(entry)
    seen.append(in_hand.has_exclusive)
    assert seen == [False, True, False]
