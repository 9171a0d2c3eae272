"""A record may hold fields that this version does not know: they do no harm, whatever they hold."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from common.redis.store import Store
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    hear_text,
    redis,
    reply,
    story,
    take,
)

pytestmark = ON_BOTH_SERVERS


def nested(levels: int, opening: str, closing: str) -> str:
    return opening * levels + "0" + closing * levels


# as JSON; what Redis can read, Python's parser need not be able to
UNKNOWN: Final[Mapping[str, str]] = {
    "a number": "7",
    "a long text": json.dumps("x" * 100_000),
    "lists in lists": nested(990, "[", "]"),
    "objects in objects": nested(990, '{"a":', "}"),
    "lists and objects": nested(490, '[{"a":', "}]"),
}


@pytest.mark.parametrize("value", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_a_turn_with_an_unknown_field_is_answered(clean_store: Store, value: str) -> None:
    await hear_text(clean_store, "u1")
    redis_: Any = redis(clean_store)
    record = (await redis_.hget(SHARD.inbox(ADA), 1)).decode()
    await redis_.hset(SHARD.inbox(ADA), 1, record[:-1] + f',"unknown":{value}}}')
    attempt = await take(clean_store)
    assert attempt.turns[0].utterance == "u1"
    await reply(clean_store, attempt)
    assert (await story(clean_store))[-1] == "reply 1 reply"
