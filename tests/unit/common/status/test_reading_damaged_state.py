"""Looking at sessions goes on whatever stands in the keys of one of them."""

from typing import Any, Final

import pytest

from common.redis.store import Store
from common.status.sessions import (
    list_sessions,
    read_extent,
    read_session,
    unfinished_utterances,
)
from tests.transitions.steps import ADA, SHARD, hear_text, redis, reply, take


async def damage_record(client: Any) -> None:
    await client.hset(
        SHARD.inbox(ADA), mapping={"2": b"\xff garbage", "no turn": "[1]", "4": "[" * 9_999}
    )


async def damage_message(client: Any) -> None:
    await client.rpush(SHARD.history(ADA), b"\xff", "[]", '{"role": "user"}')


async def damage_counters(client: Any) -> None:
    names = ("epoch", "last", "done", "taken")
    await client.hset(SHARD.session(ADA), mapping=dict.fromkeys(names, b"\xff many"))


async def damage_persona(client: Any) -> None:
    await client.hset(SHARD.session(ADA), mapping={"persona": b"\xff", b"\xfe": "x"})


async def replace_inbox(client: Any) -> None:
    await client.set(SHARD.inbox(ADA), "not ours")


async def replace_history(client: Any) -> None:
    await client.delete(SHARD.history(ADA))
    await client.set(SHARD.history(ADA), "not ours")


DAMAGES: Final = [
    damage_record, damage_message, damage_counters, damage_persona, replace_inbox, replace_history,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_session_is_shown_and_so_are_the_others(
    clean_store: Store, damage: Any
) -> None:
    await hear_text(clean_store, "u1")
    await reply(clean_store, await take(clean_store))
    await redis(clean_store).hset(SHARD.session("bob"), mapping={"epoch": 1, "last": 1, "done": 1})
    await redis(clean_store).set(SHARD.session("eve"), "not ours")
    await hear_text(clean_store, "u2")
    await damage(redis(clean_store))
    assert sorted([found.session async for found in list_sessions(clean_store)]) == [ADA, "bob"]
    contents = await read_session(clean_store, ADA)
    assert len(contents.as_dict()["history"]) == (0 if damage is replace_history else 2)
    assert await read_extent(clean_store, ADA) is not None


async def test_a_damaged_record_hides_no_other(clean_store: Store) -> None:
    await hear_text(clean_store, "u1", "u2")
    await redis(clean_store).hset(SHARD.inbox(ADA), "1", b"\xff")
    contents = await read_session(clean_store, ADA)
    assert [(turn.turn, turn.state, turn.text) for turn in contents.open] == [
        (1, "cannot be read", ""),
        (2, "waits for its answer", "u2"),
    ]
    assert await unfinished_utterances(clean_store, ADA) == {"u2"}
