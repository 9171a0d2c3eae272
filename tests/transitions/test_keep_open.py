"""A turn of which more is being said does not expire, and nothing but its expiry is put off."""

from typing import Any

import pytest

from common.errors import Refused
from common.redis.store import Store
from common.transitions.publishing import Commitment, commit, keep_open, publish
from common.transitions.tending import tend
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    events,
    everything,
    hear,
    hear_eager,
    limited,
    next_ms,
    record,
    redis,
    spoken,
    story,
)

pytestmark = ON_BOTH_SERVERS
TIMEOUT_S = 0.2


async def open_record(store: Store) -> dict[str, Any]:
    """Of turn 1, which is there."""
    found = await record(store, 1)
    assert found is not None
    return found


async def test_an_open_turn_is_kept_open_for_as_long_as_it_is_said_so(clean_store: Store) -> None:
    store = limited(clean_store, turn_timeout_s=TIMEOUT_S)
    await hear_eager(store)
    first = (await open_record(store))["touched"]
    while (await open_record(store))["touched"] - first < 3000 * TIMEOUT_S:
        assert await keep_open(store, ADA, "u1")
        assert await tend(store, ADA) == []
        await next_ms(store)
    assert (await commit(store, ADA, "u1", 1)).outcome is Commitment.OK


async def test_then_it_expires_all_the_same(clean_store: Store) -> None:
    await hear_eager(clean_store)
    assert await keep_open(clean_store, ADA, "u1")
    await next_ms(clean_store)
    assert await tend(clean_store, ADA) == ["expired"]
    assert await story(clean_store) == ["heard 1", "skipped 1 expired"]
    assert not await keep_open(clean_store, ADA, "u1")


async def test_nothing_else_about_the_turn_changes(clean_store: Store) -> None:
    await hear_eager(clean_store)
    before, told = await open_record(clean_store), await events(clean_store)
    await next_ms(clean_store)
    assert await keep_open(clean_store, ADA, "u1")
    after = await open_record(clean_store)
    assert after["touched"] > before["touched"]
    assert after | {"touched": before["touched"]} == before
    assert await events(clean_store) == told


async def test_what_is_final_or_was_never_heard_stays_as_it_is(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await hear_eager(clean_store, "u2")
    await commit(clean_store, ADA, "u2", 1)
    before = await everything(clean_store)
    for name in ("u1", "u2", "u3"):
        assert not await keep_open(clean_store, ADA, name)
    assert await everything(clean_store) == before


async def test_a_later_revision_is_the_same_turn(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await hear_eager(clean_store, revision=2)
    assert await keep_open(clean_store, ADA, "u1")


async def test_a_foreign_key_is_refused_with_a_sentence(clean_store: Store) -> None:
    await redis(clean_store).rpush(SHARD.seen("u1"), "x")
    with pytest.raises(Refused, match="holds a list, not a string"):
        await keep_open(clean_store, ADA, "u1")


async def test_what_a_revision_says_of_itself_takes_the_place_of_what_the_last_one_said(
    clean_store: Store,
) -> None:
    await publish(clean_store, spoken(final=False, speech_ms=700, hold_ms=250))
    await publish(clean_store, spoken(revision=2, speech_ms=1900, hold_ms=1000))
    revised = await open_record(clean_store)
    assert revised["speech_ms"] == 1900
    assert revised["published"] - revised["spoken"] == 1000
