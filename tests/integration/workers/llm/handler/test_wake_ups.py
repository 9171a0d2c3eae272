"""A wake-up for nothing is removed, and so is a malformed one; neither tells anything about the
LLM server."""

from typing import Any

import pytest

from common.errors import BadEntry
from common.transitions.claims import Settled
from tests.integration.workers.llm.handler.chatty_handler import ChattyLlmHandler
from tests.support.llm_handler import SESSION


async def test_a_wake_up_for_nothing_is_put_away(harness: ChattyLlmHandler) -> None:
    await harness.publish("hello")
    entry = (await harness.take_wake_up()).claim.entry
    await harness.redis.xadd(harness.shard.turns, {"v": "1", "session": SESSION, "turn": "1"})
    assert (
        await harness.handler.handle(await harness.take_wake_up(), harness.context) is Settled.STALE
    )
    rows = await harness.redis.xrange(harness.shard.turns)
    assert [row[0].decode() for row in rows] == [entry]
    assert harness.context.answers == 0


async def test_only_an_answer_of_the_server_is_one(harness: ChattyLlmHandler) -> None:
    await harness.publish("hello")
    await harness.answer_next()
    assert harness.context.answers == 1
    await harness.redis.xadd(harness.shard.turns, {"v": "1", "session": SESSION, "turn": "1"})
    assert await harness.answer_next() is not Settled.LOST
    assert harness.context.answers == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"v": "1"},
        {"session": SESSION},
        {"v": "2", "session": SESSION},
        {"v": "1", "session": "{0}"},
        {"v": "1", "session": "s" * 65},
        {"v": "1", "session": b"\xff\xfe"},
        {"v": "1", "session": ""},
    ],
)
async def test_a_malformed_wake_up_is_removed(
    harness: ChattyLlmHandler, fields: dict[Any, Any]
) -> None:
    await harness.redis.xadd(harness.shard.turns, fields)
    delivery = await harness.take_wake_up()
    with pytest.raises(BadEntry) as raised:
        await harness.handler.handle(delivery, harness.context)
    settled = await harness.handler.bury(
        delivery, harness.context, reason="bad_entry", error=str(raised.value)
    )
    assert settled in {Settled.OK, None}
    assert await harness.nothing_waits()
    assert await harness.events() == []
