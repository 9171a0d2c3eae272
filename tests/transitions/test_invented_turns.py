"""A counter of a session that was raised makes no turns that nobody spoke: neither tending nor
forgetting tells readers of them, and no producer waits for them to end.
"""

from collections.abc import Mapping
from typing import Final

import pytest

from common.errors import Refused
from common.redis.store import Store
from common.transitions.publishing import publish
from common.transitions.tending import forget, tend
from tests.transitions.damage import corrupt
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    hear_text,
    next_ms,
    redis,
    reply,
    spoken,
    story,
    take,
)

pytestmark = ON_BOTH_SERVERS

# the records of a session with three unfinished turns
LEFT: Final[Mapping[str, list[int]]] = {
    "all records": [1, 2, 3],
    "none but the next": [1],
    "none but the last": [3],
    "none": [],
}
RAISED: Final = (2_000, 50_000, 90_000)


async def three_turns(store: Store, last: int) -> None:
    await hear_text(store, "u1", "u2", "u3")
    await redis(store).hset(SHARD.session(ADA), "last", last)
    await next_ms(store)


async def keep_records(store: Store, turns: list[int]) -> None:
    gone = {1, 2, 3} - set(turns)
    if gone:
        await redis(store).hdel(SHARD.inbox(ADA), *gone)


@pytest.mark.parametrize("last", RAISED)
@pytest.mark.parametrize("turns", LEFT.values(), ids=LEFT.keys())
async def test_tending_ends_no_turn_that_nobody_spoke(
    clean_store: Store, turns: list[int], last: int
) -> None:
    await three_turns(clean_store, last)
    await keep_records(clean_store, turns)
    before = await story(clean_store)
    with pytest.raises(Refused, match="have no record"):
        await tend(clean_store, ADA)
    assert await story(clean_store) == before


async def test_an_unreadable_record_in_front_hides_no_missing_ones(clean_store: Store) -> None:
    await three_turns(clean_store, 50_000)
    await corrupt(clean_store, b"garbage")
    before = await story(clean_store)
    with pytest.raises(Refused, match="have no record"):
        await tend(clean_store, ADA)
    assert await story(clean_store) == before


@pytest.mark.parametrize("last", RAISED)
async def test_forgetting_ends_the_turns_that_were_spoken(clean_store: Store, last: int) -> None:
    await three_turns(clean_store, last)
    before = await story(clean_store)
    assert await forget(clean_store, ADA) == 3
    forgotten = [f"skipped {turn} forgotten" for turn in (1, 2, 3)]
    assert await story(clean_store) == before + forgotten
    await hear_text(clean_store, "u4")
    await reply(clean_store, await take(clean_store))
    assert (await story(clean_store))[-1] == "reply 1 reply"


async def test_what_is_said_next_is_refused_and_not_put_off_for_ever(clean_store: Store) -> None:
    await three_turns(clean_store, 50_000)
    with pytest.raises(Refused, match="forget the session"):
        await publish(clean_store, spoken("u4"))


async def test_many_records_that_are_gone_end_as_lost(clean_store: Store) -> None:
    """A worn disk may lose an inbox: that is told, as long as it can be true."""
    await three_turns(clean_store, 900)
    await keep_records(clean_store, [])
    mended = await tend(clean_store, ADA)
    assert mended == ["lost"] * 900
    assert (await story(clean_store))[-1].startswith("error 900")
