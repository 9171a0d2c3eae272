"""Who answers: whom the session chose, else whom the newest turn names, else the default."""

import pytest
from redis.exceptions import ResponseError

from common.redis.store import Store
from common.transitions.personas import set_persona
from common.transitions.tending import forget
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    assert_at_rest,
    hear_text,
    limited,
    next_ms,
    read,
    redis,
    reply,
    state,
    take,
    take_again,
    ttl,
)

pytestmark = ON_BOTH_SERVERS


async def test_nobody_in_particular(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    assert (await take(clean_store)).persona == ""


async def test_the_newest_turn_that_names_one(clean_store: Store) -> None:
    await hear_text(clean_store, "a", persona="butler")
    await hear_text(clean_store, "b", persona="guide")
    await hear_text(clean_store, "c")
    assert (await take(clean_store)).persona == "guide"


async def test_the_sessions_own_goes_over_the_producers(clean_store: Store) -> None:
    await hear_text(clean_store, "a", persona="butler")
    await set_persona(clean_store, ADA, "Führer durch Köln 🙂")
    attempt = await take(clean_store)
    assert attempt.persona == attempt.own_persona == "Führer durch Köln 🙂"
    await reply(clean_store, attempt)
    await set_persona(clean_store, ADA, "")
    await hear_text(clean_store, "b", persona="butler")
    assert (await take(clean_store, "t2")).persona == "butler"


async def test_a_choice_during_an_attempt_leaves_it_alone_and_holds_for_the_next(
    clean_store: Store,
) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    await set_persona(clean_store, ADA, "guide")
    await reply(clean_store, attempt)
    await assert_at_rest(clean_store)
    await hear_text(clean_store, "b")
    assert (await take(clean_store, "t2")).persona == "guide"


async def test_it_can_be_chosen_before_the_first_turn(clean_store: Store) -> None:
    store = limited(clean_store, session_ttl_s=50)
    await set_persona(store, ADA, "guide")
    assert 0 < await ttl(store, SHARD.session(ADA)) <= 50_000
    assert not await redis(store).exists(SHARD.open)
    epoch = (await state(store))["epoch"]
    await next_ms(store)
    await hear_text(store, "a")
    attempt = await take(store)
    assert (attempt.persona, attempt.epoch, attempt.turns[0].turn) == ("guide", int(epoch), 1)
    await reply(store, attempt)
    await assert_at_rest(store)


async def test_to_choose_nobody_begins_no_session(clean_store: Store) -> None:
    await set_persona(clean_store, ADA, "")
    assert await redis(clean_store).keys("*") == []


async def test_what_is_unfinished_is_kept_and_woken(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await redis(clean_store).xtrim(SHARD.turns, maxlen=0, approximate=False)
    await set_persona(clean_store, ADA, "guide")
    assert await ttl(clean_store, SHARD.session(ADA)) == -1
    assert (await take(clean_store)).persona == "guide"


async def test_a_second_attempt_sees_it_too(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await set_persona(clean_store, ADA, "guide")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    for token in ("t1", "t2"):
        assert (await take_again(clean_store, claim, token)).persona == "guide"


async def test_forgetting_forgets_it(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await set_persona(clean_store, ADA, "guide")
    await forget(clean_store, ADA)
    await hear_text(clean_store, "b")
    assert (await take(clean_store)).persona == ""


async def test_a_full_server_is_left_as_it_is(clean_store: Store) -> None:
    await redis(clean_store).config_set("maxmemory", 1)
    with pytest.raises(ResponseError, match="maxmemory"):
        await set_persona(clean_store, ADA, "guide")
    assert await redis(clean_store).keys("*") == []
