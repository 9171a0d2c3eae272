"""A session whose counters cannot be right is refused, and nothing in it is changed. It can be
forgotten, and its audio becomes dead letters.
"""

from typing import Final

import pytest

from common.errors import Refused
from common.redis.store import Store
from common.transitions.answering import bury_turn, newer_speech
from common.transitions.claims import Claim, Settled
from common.transitions.publishing import abandon, commit, publish
from common.transitions.tending import forget, tend
from tests.transitions.damage import corrupt
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    assert_at_rest,
    bury,
    everything,
    hear,
    hear_text,
    next_ms,
    pending,
    read,
    redis,
    reply,
    settle,
    spoken,
    story,
    take,
    take_again,
)

pytestmark = ON_BOTH_SERVERS


IMPOSSIBLE: Final[dict[str, dict[str, str | bytes]]] = {
    "turns in words": {"last": "many"},
    "no Unicode": {"done": b"\xff\xff"},
    "a negative number": {"done": "-4"},
    "a fraction": {"last": "2.5"},
    "infinity": {"last": "inf"},
    "not a number": {"done": "nan"},
    "more turns than can be counted": {"last": "9" * 300},
    "far more unfinished turns than a session can have": {"last": "900000000"},
    "more ended than begun": {"done": "900"},
    "taken in words": {"taken": "all"},
    "an attempt in words": {"attempt": "first"},
    "an epoch in words": {"epoch": "now"},
    "begun in words": {"started": "now"},
    "reached in words": {"reached": "far"},
}


@pytest.mark.parametrize("fields", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
async def test_counters_that_cannot_be_right_are_refused_and_nothing_changed(
    clean_store: Store, fields: dict[str, str]
) -> None:
    await hear_text(clean_store, "u1")
    await hear(clean_store, "u2")
    attempt = await take(clean_store, max_merge=1)
    audio, entry = await read(clean_store)
    await redis(clean_store).hset(SHARD.session(ADA), mapping=fields)
    before = await everything(clean_store)
    wake = (await pending(clean_store, SHARD.turns))[0]["message_id"].decode()
    for transition in (
        lambda: tend(clean_store, ADA),
        lambda: publish(clean_store, spoken("u3")),
        lambda: commit(clean_store, ADA, "u2", 1),
        lambda: abandon(clean_store, ADA, "u2"),
        lambda: settle(clean_store, audio, entry),
        lambda: reply(clean_store, attempt),
        lambda: bury_turn(clean_store, attempt, reason="r", error="e", deliveries=1, worker=LLM),
        lambda: take_again(clean_store, claim_of(wake), "t2"),
    ):
        with pytest.raises(Refused, match=r"the key earshot:\{0\}:session:ada"):
            await transition()
    assert await everything(clean_store) == before


def claim_of(entry: str) -> Claim:
    return Claim(SHARD, SHARD.turns, entry, LLM)


@pytest.mark.parametrize("fields", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
async def test_counters_that_cannot_be_right_can_be_forgotten(
    clean_store: Store, fields: dict[str, str]
) -> None:
    await hear_text(clean_store, "u1")
    await hear(clean_store, "u2")
    await redis(clean_store).hset(SHARD.session(ADA), mapping=fields)
    assert await forget(clean_store, ADA) == 2
    assert (await story(clean_store))[-2:] == ["skipped 1 forgotten", "skipped 2 forgotten"]
    for key in (SHARD.session(ADA), SHARD.inbox(ADA), SHARD.open, SHARD.turns):
        assert not await redis(clean_store).exists(key) or not await redis(clean_store).xlen(key)
    await hear_text(clean_store, "u3")
    await reply(clean_store, await take(clean_store))
    assert (await story(clean_store))[-1] == "reply 1 reply"


async def test_a_record_that_cannot_be_read_is_forgotten_with_its_session(
    clean_store: Store,
) -> None:
    await hear_text(clean_store, "u1", "u2")
    await corrupt(clean_store, b"garbage")
    await redis(clean_store).hset(SHARD.inbox(ADA), "no turn", "garbage")
    assert await forget(clean_store, ADA) == 2
    assert (await story(clean_store))[-2:] == ["skipped 1 forgotten", "skipped 2 forgotten"]


async def test_audio_for_a_session_that_cannot_be_read_is_a_dead_letter(
    clean_store: Store,
) -> None:
    """It must not come back to the workers again and again."""
    await hear(clean_store, "u1")
    await redis(clean_store).hset(SHARD.session(ADA), "last", "many")
    claim, fields = await read(clean_store)
    assert await bury(clean_store, claim, fields) is Settled.STALE
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await redis(clean_store).xlen(SHARD.dead) == 1
    await redis(clean_store).hset(SHARD.session(ADA), "last", 1)
    await next_ms(clean_store)
    assert await tend(clean_store, ADA) == ["lost"]
    await assert_at_rest(clean_store)


async def test_no_delta_looks_through_turns_without_end(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    attempt = await take(clean_store)
    await redis(clean_store).hset(SHARD.session(ADA), "last", "900000000000000")
    assert (await newer_speech(clean_store, attempt)).held


async def test_turns_without_records_end_in_bounded_steps(clean_store: Store) -> None:
    """No script may run for long: Redis does nothing else meanwhile."""
    await hear_text(clean_store, "u1")
    await reply(clean_store, await take(clean_store))
    await redis(clean_store).hset(SHARD.session(ADA), "last", 90_000)
    await next_ms(clean_store)
    with pytest.raises(Refused, match="turns have no record"):
        await tend(clean_store, ADA)


@pytest.mark.parametrize("key", [SHARD.session(ADA), SHARD.inbox(ADA), SHARD.history(ADA)])
async def test_audio_for_a_session_with_a_foreign_key_is_a_dead_letter(
    clean_store: Store, key: str
) -> None:
    await hear(clean_store, "u1")
    await redis(clean_store).delete(key)
    await redis(clean_store).sadd(key, "foreign")
    claim, fields = await read(clean_store)
    with pytest.raises(Refused):
        await settle(clean_store, claim, fields)
    assert await bury(clean_store, claim, fields) is Settled.STALE
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await redis(clean_store).xlen(SHARD.dead) == 1
