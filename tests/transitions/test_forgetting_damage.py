"""Forgetting is the way out for a session whose counters cannot be right: whatever they hold,
readers can read what they are told.
"""

from typing import Final

import pytest

from common.events import parse_event
from common.redis.store import Store
from common.transitions.tending import forget
from tests.transitions.steps import ADA, ON_BOTH_SERVERS, SHARD, hear_text, redis

pytestmark = ON_BOTH_SERVERS

NO_COUNTER: Final = ("inf", "-inf", "nan", "-7", "1e300", "0x10", "3.5", " 4 ", "9" * 40, b"\xff\0")


@pytest.mark.parametrize("field", ["epoch", "last", "done", "attempt", "started"])
@pytest.mark.parametrize("value", NO_COUNTER, ids=repr)
async def test_readers_can_read_that_a_session_was_forgotten(
    clean_store: Store, field: str, value: str | bytes
) -> None:
    await hear_text(clean_store, "u1", "u2")
    await redis(clean_store).hset(SHARD.session(ADA), field, value)
    assert await forget(clean_store, ADA) == 2
    entries = await redis(clean_store).xrange(SHARD.results)
    ended = [event for _, fields in entries if (event := parse_event(fields)).type == "skipped"]
    assert [event.turn for event in ended] == [1, 2]
