"""A draft whose producer died ends by its id, at once, wherever it stands, nothing else does."""

import pytest

from common.errors import Refused
from common.events import Skipped
from common.redis.store import Store
from common.transitions.claims import Settled
from common.transitions.publishing import (
    Commitment,
    Verdict,
    abandon,
    commit,
    keep_open,
    publish,
)
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    assert_at_rest,
    bury,
    events,
    everything,
    hear,
    hear_eager,
    hear_text,
    read,
    record,
    redis,
    reply,
    settle,
    spoken,
    story,
    take,
    transcribe,
    wakes,
)

pytestmark = ON_BOTH_SERVERS


async def test_what_was_said_after_an_abandoned_draft_is_answered_at_once(
    clean_store: Store,
) -> None:
    await hear_eager(clean_store)
    await hear_text(clean_store, "u2")
    assert await wakes(clean_store) == []
    assert await abandon(clean_store, ADA, "u1")
    assert (await story(clean_store))[-1] == "skipped 1 expired"
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await wakes(clean_store) == ["2"]


async def test_whatever_stt_has_made_of_it_is_told_to_nobody(clean_store: Store) -> None:
    await hear_eager(clean_store, "u1")
    await settle(clean_store, *await read(clean_store), "a secret", avg_logprob=-0.5)
    await hear_eager(clean_store, "u2")
    await bury(clean_store, *await read(clean_store))
    assert await abandon(clean_store, ADA, "u1")
    assert await abandon(clean_store, ADA, "u2")
    told = await events(clean_store)
    assert [event.type for event in told] == ["heard", "heard", "skipped", "skipped"]
    assert all(event.data.detail is None for event in told if isinstance(event, Skipped))
    await assert_at_rest(clean_store)


async def test_a_worker_that_has_it_in_hand_changes_nothing(clean_store: Store) -> None:
    await hear_eager(clean_store)
    claim, fields = await read(clean_store)
    await abandon(clean_store, ADA, "u1")
    assert await settle(clean_store, claim, fields) in {Settled.STALE, Settled.LOST}
    assert await story(clean_store) == ["heard 1", "skipped 1 expired"]
    await assert_at_rest(clean_store)


async def test_drafts_of_others_in_the_session_stay_open(clean_store: Store) -> None:
    """Another host's producer speaks into it as well."""
    await hear_eager(clean_store, "theirs")
    await hear_eager(clean_store, "ours")
    before = await record(clean_store, 1)
    assert await abandon(clean_store, ADA, "ours")
    assert await record(clean_store, 1) == before
    assert (await commit(clean_store, ADA, "theirs", 1)).outcome is Commitment.OK


async def test_behind_a_turn_that_goes_on_it_ends_once(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await hear_eager(clean_store, "u2")
    assert await abandon(clean_store, ADA, "u2")
    assert await story(clean_store) == ["heard 1", "heard 2", "skipped 2 expired"]
    before = await everything(clean_store)
    # what the dead producer sent on its last breath
    assert not await abandon(clean_store, ADA, "u2")
    assert not await keep_open(clean_store, ADA, "u2")
    assert (await hear_eager(clean_store, "u2")).verdict is Verdict.DUPLICATE
    assert (await hear_eager(clean_store, "u2", revision=2)).verdict is Verdict.CLOSED
    assert (await publish(clean_store, spoken("u2"))).verdict is Verdict.CLOSED
    assert (await commit(clean_store, ADA, "u2", 1)).outcome is Commitment.CLOSED
    assert await everything(clean_store) == before
    await transcribe(clean_store)
    await reply(clean_store, await take(clean_store))
    assert (await story(clean_store))[2:] == [
        "skipped 2 expired",
        "transcript 1 u1",
        "reply 1 reply",
    ]
    await assert_at_rest(clean_store)


async def test_while_the_turn_before_it_is_answered_that_goes_on(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    attempt = await take(clean_store)
    await hear_eager(clean_store, "u2")
    assert await abandon(clean_store, ADA, "u2")
    assert await reply(clean_store, attempt) is Settled.OK
    await assert_at_rest(clean_store)


async def test_what_is_final_has_ended_or_was_never_heard_stays_as_it_is(
    clean_store: Store,
) -> None:
    await hear_eager(clean_store, "u0")
    await abandon(clean_store, ADA, "u0")
    await hear(clean_store, "u1")
    await hear_eager(clean_store, "u2")
    await commit(clean_store, ADA, "u2", 1)
    before = await everything(clean_store)
    for name in ("u0", "u1", "u2", "u3"):
        assert not await abandon(clean_store, ADA, name)
    assert await everything(clean_store) == before


async def test_a_draft_among_recordings_is_ended_there(clean_store: Store) -> None:
    await publish(clean_store, spoken(final=False), recording=True)
    assert await abandon(clean_store, ADA, "u1")
    await assert_at_rest(clean_store)


async def test_it_ends_with_a_full_memory_too(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await settle(clean_store, *await read(clean_store))
    await redis(clean_store).config_set("maxmemory", 1)
    try:
        assert await abandon(clean_store, ADA, "u1")
    finally:
        await redis(clean_store).config_set("maxmemory", 0)
    await assert_at_rest(clean_store)


async def test_a_foreign_key_is_refused_with_a_sentence(clean_store: Store) -> None:
    await redis(clean_store).rpush(SHARD.seen("u1"), "x")
    with pytest.raises(Refused, match="holds a list, not a string"):
        await abandon(clean_store, ADA, "u1")
