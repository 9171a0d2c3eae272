"""A conversation can be forgotten, with all that it keeps in Redis; each of its turns ends."""

from common.events import Skipped
from common.redis.store import Store
from common.transitions.publishing import publish
from common.transitions.tending import forget
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    events,
    hear,
    hear_eager,
    hear_text,
    next_ms,
    read,
    redis,
    reply,
    settle,
    skip,
    spoken,
    state,
    story,
    take,
)

pytestmark = ON_BOTH_SERVERS


async def test_what_is_forgotten_ends_and_is_gone(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await reply(clean_store, await take(clean_store))
    await hear_text(clean_store, "b")
    await hear(clean_store, "c")
    await publish(clean_store, spoken("d"), recording=True)
    await hear_eager(clean_store, "e")
    assert await forget(clean_store, ADA) == 4
    assert (await story(clean_store))[-4:] == [f"skipped {turn} forgotten" for turn in range(2, 6)]
    for key in (SHARD.session(ADA), SHARD.inbox(ADA), SHARD.history(ADA), SHARD.open):
        assert await redis(clean_store).exists(key) == 0
    for stream in (SHARD.utterances, SHARD.recordings, SHARD.turns):
        assert await redis(clean_store).xlen(stream) == 0
    assert await forget(clean_store, ADA) == 0


async def test_what_has_ended_is_not_ended_again_by_forgetting(clean_store: Store) -> None:
    await hear(clean_store, "a", "b")
    await read(clean_store)
    await skip(clean_store, *await read(clean_store))
    assert await forget(clean_store, ADA) == 1
    assert (await story(clean_store))[2:] == ["skipped 2 noise", "skipped 1 forgotten"]


async def test_forgetting_tells_nothing_of_what_was_said(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await settle(clean_store, *await read(clean_store), "a secret", avg_logprob=-0.5)
    await forget(clean_store, ADA)
    skipped = (await events(clean_store))[-1]
    assert isinstance(skipped, Skipped)
    assert skipped.data.detail is None


async def test_after_forgetting_a_session_begins_anew(clean_store: Store) -> None:
    await hear(clean_store, "a")
    before = await state(clean_store)
    await forget(clean_store, ADA)
    await next_ms(clean_store)
    assert (await publish(clean_store, spoken("b"))).turn == 1
    assert (await state(clean_store))["epoch"] > before["epoch"]
