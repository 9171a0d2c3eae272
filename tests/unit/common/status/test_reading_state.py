"""What Redis keeps is read in one place: backlogs, claims, entries in hand, sessions."""

from common.keys import LLM_GROUP, STT_GROUP
from common.redis.store import Store
from common.status.entries_in_hand import read_entries_in_hand
from common.status.sessions import is_being_answered, read_extent
from common.status.snapshot import take_snapshot
from common.status.streams import count_waiting, has_work, list_claims
from tests.transitions.steps import ADA, LLM, SHARD, STT, hear, hear_text, read, redis, take


async def test_without_a_worker_everything_waits(clean_store: Store) -> None:
    client = redis(clean_store)
    assert not await has_work(client, SHARD.utterances, STT_GROUP)
    await hear(clean_store, "u1", "u2")
    assert await count_waiting(client, SHARD.utterances, STT_GROUP) == 2
    assert await list_claims(client, SHARD.utterances, STT_GROUP, 10) == []
    assert await has_work(client, SHARD.utterances, STT_GROUP)
    assert (await take_snapshot(clean_store)).stages["utterances"].waiting == 2


async def test_what_a_worker_holds_does_not_wait(clean_store: Store) -> None:
    client = redis(clean_store)
    await hear(clean_store, "u1", "u2")
    claim, _ = await read(clean_store)
    assert await count_waiting(client, SHARD.utterances, STT_GROUP) == 1
    claims = await list_claims(client, SHARD.utterances, STT_GROUP, 10)
    assert claims == [(claim.entry.encode(), STT)]


async def test_sessions_in_hand_are_named_for_the_llm_stage_alone(clean_store: Store) -> None:
    await hear_text(clean_store, "hello")
    await take(clean_store)
    await hear(clean_store, "u1")
    await read(clean_store)
    workers = await read_entries_in_hand(clean_store)
    assert {name: (held.count, held.sessions) for name, held in workers.items()} == {
        LLM: (1, [ADA]),
        STT: (1, []),
    }
    assert all(held.oldest_s >= 0 for held in workers.values())
    assert await has_work(redis(clean_store), SHARD.turns, LLM_GROUP)


async def test_the_extent_of_a_session_is_its_epoch_and_its_last_turn(clean_store: Store) -> None:
    assert await read_extent(clean_store, ADA) is None
    await hear_text(clean_store, "hello", "again")
    extent = await read_extent(clean_store, ADA)
    assert extent is not None
    epoch, last = extent
    assert epoch > 0
    assert last == 2


async def test_a_session_is_being_answered_from_the_taking_on(clean_store: Store) -> None:
    await hear_text(clean_store, "hello")
    assert not await is_being_answered(clean_store, ADA)
    await take(clean_store)
    assert await is_being_answered(clean_store, ADA)
