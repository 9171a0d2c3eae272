"""A claim is kept alive, given back or left behind only by whoever holds it."""

from typing import Any

import pytest

from common.keys import HANDED_BACK, LLM_GROUP, STT_GROUP
from common.redis.store import Store
from common.transitions.answering import drop_wake_up
from common.transitions.claims import Claim, Settled, hand_back, heartbeat, leave, make_group
from tests.transitions.steps import (
    ON_BOTH_SERVERS,
    SHARD,
    STT,
    claim_over,
    everything,
    hear,
    pending,
    read,
    redis,
    settle,
)

pytestmark = ON_BOTH_SERVERS
LIVE = SHARD.utterances
LONG_MS = 60_000


async def hold(store: Store, count: int = 1) -> list[str]:
    """Entries in the hands of STT, silent for LONG_MS, delivered three times."""
    await hear(store, *(f"u{number}" for number in range(count)))
    entries = [(await read(store))[0].entry for _ in range(count)]
    await redis(store).xclaim(
        LIVE, STT_GROUP, STT, 0, entries, idle=LONG_MS, retrycount=3, justid=True
    )
    return entries


async def consumers(store: Store) -> set[str]:
    rows = await redis(store).xinfo_consumers(LIVE, STT_GROUP)
    return {row["name"].decode() for row in rows}


def by_entry(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["message_id"].decode(): row for row in rows}


async def test_a_heartbeat_is_a_sign_of_life_and_no_delivery(clean_store: Store) -> None:
    [entry] = await hold(clean_store)
    assert await heartbeat(clean_store, LIVE, STT_GROUP, STT, [entry]) == set()
    [row] = await pending(clean_store, LIVE)
    assert row["time_since_delivered"] < LONG_MS
    assert (row["consumer"], row["times_delivered"]) == (STT.encode(), 3)


async def test_a_heartbeat_is_for_what_is_in_hand_only(clean_store: Store) -> None:
    """An entry whose XREADGROUP reply was lost must become idle, or nobody ever gets it."""
    in_hand, unheard_of = await hold(clean_store, 2)
    await heartbeat(clean_store, LIVE, STT_GROUP, STT, [in_hand])
    rows = by_entry(await pending(clean_store, LIVE))
    assert rows[in_hand]["time_since_delivered"] < LONG_MS
    assert rows[unheard_of]["time_since_delivered"] >= LONG_MS


async def test_a_heartbeat_tells_what_was_lost_and_takes_nothing_back(clean_store: Store) -> None:
    mine, theirs = await hold(clean_store, 2)
    await redis(clean_store).xclaim(LIVE, STT_GROUP, "stt-2", 0, [theirs])
    before = by_entry(await pending(clean_store, LIVE))[theirs]
    lost = await heartbeat(clean_store, LIVE, STT_GROUP, STT, [mine, theirs, "1-1"])
    assert lost == {theirs, "1-1"}
    after = by_entry(await pending(clean_store, LIVE))[theirs]
    assert after["consumer"] == b"stt-2"
    assert after["time_since_delivered"] >= before["time_since_delivered"]


async def test_with_the_group_lost_everything_is_lost(clean_store: Store) -> None:
    entries = await hold(clean_store, 2)
    await redis(clean_store).xgroup_destroy(LIVE, STT_GROUP)
    assert await heartbeat(clean_store, LIVE, STT_GROUP, STT, entries) == set(entries)
    assert await hand_back(clean_store, LIVE, STT_GROUP, STT, entries) == 0
    assert await leave(clean_store, LIVE, STT_GROUP, STT) is True


async def test_nothing_in_hand_is_nothing_to_do(clean_store: Store) -> None:
    assert await heartbeat(clean_store, LIVE, STT_GROUP, STT, []) == set()
    assert await hand_back(clean_store, LIVE, STT_GROUP, STT, []) == 0
    assert await everything(clean_store) == {}


async def test_what_is_handed_back_is_free_at_once_and_its_delivery_uncounted(
    clean_store: Store,
) -> None:
    [entry] = await hold(clean_store)
    assert await hand_back(clean_store, LIVE, STT_GROUP, STT, [entry]) == 1
    [row] = await pending(clean_store, LIVE)
    assert (row["consumer"], row["times_delivered"]) == (HANDED_BACK.encode(), 2)

    claimed = await redis(clean_store).xclaim(LIVE, STT_GROUP, "stt-2", LONG_MS, [entry])
    assert [found.decode() for found, _ in claimed] == [entry]
    [row] = await pending(clean_store, LIVE)
    assert (row["consumer"], row["times_delivered"]) == (b"stt-2", 3)


async def test_a_first_delivery_handed_back_was_none(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, _ = await read(clean_store)
    await hand_back(clean_store, LIVE, STT_GROUP, STT, [claim.entry])
    [row] = await pending(clean_store, LIVE)
    assert row["times_delivered"] == 0


async def test_only_its_holder_hands_an_entry_back(clean_store: Store) -> None:
    mine, theirs = await hold(clean_store, 2)
    await redis(clean_store).xclaim(LIVE, STT_GROUP, "stt-2", 0, [theirs])
    assert await hand_back(clean_store, LIVE, STT_GROUP, STT, [mine, theirs]) == 1
    rows = by_entry(await pending(clean_store, LIVE))
    assert rows[theirs]["consumer"] == b"stt-2"
    assert rows[mine]["consumer"] == HANDED_BACK.encode()


async def test_what_was_handed_back_cannot_be_settled_by_who_had_it(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await hand_back(clean_store, LIVE, STT_GROUP, STT, [claim.entry])
    assert await settle(clean_store, claim, fields) is Settled.LOST
    theirs = await claim_over(clean_store, claim, "stt-2")
    assert await settle(clean_store, theirs, fields) is Settled.OK


async def test_a_consumer_with_nothing_pending_leaves(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await settle(clean_store, *await read(clean_store))
    assert await consumers(clean_store) == {STT}
    assert await leave(clean_store, LIVE, STT_GROUP, STT) is True
    assert await consumers(clean_store) == set()
    assert await leave(clean_store, LIVE, STT_GROUP, STT) is True


async def test_a_consumer_with_entries_stays(clean_store: Store) -> None:
    """Removing it would remove its claims: the entries would never be delivered again."""
    await hold(clean_store)
    assert await leave(clean_store, LIVE, STT_GROUP, STT) is False
    assert await consumers(clean_store) == {STT}
    assert len(await pending(clean_store, LIVE)) == 1


@pytest.mark.parametrize("stream", [SHARD.turns, "no-stream"])
async def test_leaving_where_nothing_is(clean_store: Store, stream: str) -> None:
    assert await leave(clean_store, stream, STT_GROUP, STT) is True
    assert await everything(clean_store) == {}


async def test_a_wake_up_that_names_no_session_is_deleted_by_its_holder_only(
    clean_store: Store,
) -> None:
    turns = SHARD.turns
    await make_group(clean_store, turns, LLM_GROUP)
    entry = (await redis(clean_store).xadd(turns, {"v": "1", "session": "no such form!"})).decode()
    await redis(clean_store).xreadgroup(LLM_GROUP, "llm-1", {turns: ">"}, count=1)
    assert await drop_wake_up(clean_store, Claim(SHARD, turns, entry, "llm-2")) is Settled.LOST
    assert await redis(clean_store).xlen(turns) == 1
    assert await drop_wake_up(clean_store, Claim(SHARD, turns, entry, "llm-1")) is Settled.OK
    assert await redis(clean_store).xlen(turns) == 0
    assert (await redis(clean_store).xpending(turns, LLM_GROUP))["pending"] == 0
    assert await drop_wake_up(clean_store, Claim(SHARD, turns, entry, "llm-1")) is Settled.LOST


async def test_a_wake_up_whose_group_was_lost_is_lost(clean_store: Store) -> None:
    entry = (await redis(clean_store).xadd(SHARD.turns, {"v": "1"})).decode()
    claim = Claim(SHARD, SHARD.turns, entry, "llm-1")
    assert await drop_wake_up(clean_store, claim) is Settled.LOST
    assert await redis(clean_store).xlen(SHARD.turns) == 1
