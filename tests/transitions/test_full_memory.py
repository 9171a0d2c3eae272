"""A server at `maxmemory` takes nothing new, and all that is in hand can still be ended: the
backlog drains, and with it the memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ResponseError

from common.keys import HANDED_BACK, STT_GROUP
from common.redis.store import Store
from common.transitions.answering import bury_turn, delta
from common.transitions.claims import Settled, hand_back, heartbeat, leave
from common.transitions.publishing import Commitment, Verdict, commit, publish
from common.transitions.tending import forget, tend
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    STT,
    assert_at_rest,
    bury,
    events,
    hear,
    hear_eager,
    hear_text,
    make_group,
    next_ms,
    pending,
    read,
    redis,
    reply,
    settle,
    skip,
    spoken,
    story,
    take,
    take_again,
    wakes,
)

pytestmark = ON_BOTH_SERVERS


@asynccontextmanager
async def no_memory(store: Store) -> AsyncIterator[None]:
    """Every command that needs memory is refused meanwhile; workers have made their groups."""
    for stream in (SHARD.utterances, SHARD.turns):
        await make_group(store, stream)
    await redis(store).config_set("maxmemory", 1)
    try:
        yield
    finally:
        await redis(store).config_set("maxmemory", 0)


@pytest.mark.parametrize("text", [None, "hello"])
async def test_nothing_new_is_taken(clean_store: Store, text: str | None) -> None:
    async with no_memory(clean_store):
        with pytest.raises(ResponseError, match="maxmemory"):
            await publish(clean_store, spoken(text=text))
    assert await redis(clean_store).keys("*:s*") == []  # no session, nothing seen
    assert await redis(clean_store).xlen(SHARD.utterances) == 0


async def test_a_session_in_hand_drains(clean_store: Store) -> None:
    await hear(clean_store, "a", "b", "c")
    async with no_memory(clean_store):
        assert await settle(clean_store, *await read(clean_store)) is Settled.OK
        assert await skip(clean_store, *await read(clean_store)) is Settled.OK
        assert await bury(clean_store, *await read(clean_store)) is Settled.OK
        assert await reply(clean_store, await take(clean_store)) is Settled.OK
    assert (await story(clean_store))[3:] == [
        "transcript 1 a",
        "skipped 2 noise",
        "error 3 bad_audio",
        "reply 1 reply",
    ]
    await assert_at_rest(clean_store)
    assert await redis(clean_store).xlen(SHARD.dead) == 1


async def test_turns_can_be_buried(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    async with no_memory(clean_store):
        attempt = await take(clean_store)
        settled = await bury_turn(
            clean_store, attempt, reason="r", error="e", deliveries=1, worker=LLM
        )
        assert settled is Settled.OK
    assert (await story(clean_store))[-1] == "error 1 r"
    await assert_at_rest(clean_store)


async def test_a_turn_without_its_wake_up_can_be_settled(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    attempt = await take_again(clean_store, claim, "t1")
    await redis(clean_store).hdel(SHARD.session(ADA), "wake")
    async with no_memory(clean_store):
        assert await reply(clean_store, attempt) is Settled.OK


async def test_too_old_turns_can_be_skipped(clean_store: Store) -> None:
    await hear_text(clean_store, "a", hold_ms=60_000)
    await hear_text(clean_store, "b")
    async with no_memory(clean_store):
        attempt = await take(clean_store, max_answer_age_s=30)
        assert await reply(clean_store, attempt) is Settled.OK
    assert (await story(clean_store))[4:] == ["skipped 1 expired", "reply 2 reply"]


async def test_deltas_are_left_out(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    async with no_memory(clean_store):
        assert (await delta(clean_store, attempt, 0, "x")).held
        assert await reply(clean_store, attempt) is Settled.OK
    assert await events(clean_store, SHARD.deltas) == []


async def test_what_waits_can_be_committed(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await settle(clean_store, *await read(clean_store))
    async with no_memory(clean_store):
        assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.OK
    assert await wakes(clean_store) == ["1"]


async def test_what_waits_can_be_committed_by_publishing_it_again(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await settle(clean_store, *await read(clean_store))
    async with no_memory(clean_store):
        assert (await publish(clean_store, spoken())).verdict is Verdict.DUPLICATE
    assert await wakes(clean_store) == ["1"]


async def test_silent_producers_do_not_hold_a_session_up(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await hear_text(clean_store, "u2")
    await settle(clean_store, *await read(clean_store))
    await next_ms(clean_store)
    async with no_memory(clean_store):
        assert await tend(clean_store, ADA) == ["expired"]
        assert await reply(clean_store, await take(clean_store)) is Settled.OK
    await assert_at_rest(clean_store)


async def test_wake_ups_are_repaired(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await redis(clean_store).xtrim(SHARD.turns, maxlen=0, approximate=False)
    async with no_memory(clean_store):
        assert await tend(clean_store, ADA) == ["woken"]


async def test_a_conversation_can_be_forgotten(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await settle(clean_store, *await read(clean_store))
    async with no_memory(clean_store):
        assert await forget(clean_store, ADA) == 1
    assert await redis(clean_store).exists(SHARD.session(ADA)) == 0


async def test_claims_are_kept_given_back_and_left(clean_store: Store) -> None:
    await hear(clean_store, "a")
    claim, _ = await read(clean_store)
    async with no_memory(clean_store):
        held = (clean_store, SHARD.utterances, STT_GROUP, STT)
        assert await heartbeat(*held, [claim.entry]) == set()
        assert await hand_back(*held, [claim.entry]) == 1
        assert await leave(*held) is True
    [row] = await pending(clean_store, SHARD.utterances)
    assert row["consumer"] == HANDED_BACK.encode()
