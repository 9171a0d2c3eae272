"""A prompt that the server cannot take is shortened or written in another way; one that never fits
is buried alone."""

from unittest.mock import AsyncMock

import pytest

from common.errors import Misconfigured, Permanent
from common.events import Error, Reply
from common.redis.store import Store
from common.transitions.claims import Settled
from tests.integration.workers.llm.handler.chatty_handler import (
    DEFAULT_PROMPT,
    ChattyLlmHandler,
    running_handler,
    spoken,
)
from tests.support.llm_handler import PATIENCE_S, WORKER
from tests.support.standin_server import StandIn
from workers.llm.server import tokens
from workers.llm.server.tokens import Tokenizer


async def test_the_system_role_is_tried_once(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reject_system_role=True)
    for text in ("hello", "and again"):
        await harness.publish(text)
        assert await harness.answer_next() is Settled.OK
    roles = [[message["role"] for message in prompt] for prompt in harness.prompts()]
    assert roles == [["system", "user"], ["user"], ["user", "assistant", "user"]]
    prompt = DEFAULT_PROMPT
    assert harness.prompts()[1][0]["content"] == f"{prompt}\n\nhello"
    assert harness.prompts()[2][0]["content"] == f"{prompt}\n\nhello"


async def test_the_system_role_may_be_set(store: Store, standin: StandIn) -> None:
    standin.control(reject_system_role=True)
    async with running_handler(store, standin, system_role="first_user") as harness:
        await harness.publish("hello")
        assert await harness.answer_next() is Settled.OK
        assert [[m["role"] for m in prompt] for prompt in harness.prompts()] == [["user"]]


async def test_a_system_role_that_is_insisted_on_is_a_wrong_setting(
    store: Store, standin: StandIn
) -> None:
    standin.control(reject_system_role=True)
    async with running_handler(store, standin, system_role="system") as harness:
        await harness.publish("hello")
        delivery = await harness.take_wake_up()
        with pytest.raises(Misconfigured, match="EARSHOT_LLM__SYSTEM_ROLE"):
            await harness.handler.handle(delivery, harness.context)


@pytest.mark.parametrize("counts", [True, False])
async def test_rounds_that_do_not_fit_are_left_out_beforehand(
    counts: bool, store: Store, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window is known from the list of models; with and without the server's counts."""
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", PATIENCE_S)
    if not counts:
        monkeypatch.setattr(Tokenizer, "count", AsyncMock(return_value=None))
    standin.control(reply="word " * 40, max_model_len=500)
    async with running_handler(store, standin, rounds=20) as harness:
        await harness.handler.probe()
        for number in range(12):
            await harness.publish(f"question {number} " + "about words " * 10)
            assert await harness.answer_next() is Settled.OK
    requests = standin.requests()
    assert {request.status for request in requests} == {200}
    assert {request.params["max_tokens"] for request in requests} == {110}
    replies = await harness.events(Reply)
    spoken = [reply.data.usage.prompt_tokens for reply in replies]
    assert max(spoken) <= 500 - 110
    assert spoken[-1] > (500 - 110) * (0.75 if counts else 0.6)  # and the room is used


async def test_a_history_that_is_too_long_loses_its_oldest_rounds(
    harness: ChattyLlmHandler,
) -> None:
    harness.standin.control(reply="word " * 40, max_model_len=10_000)
    for number in range(1, 6):
        await harness.publish(f"question {number} " + "about words " * 10)
        await harness.answer_next()
    harness.standin.control(max_model_len=320)
    await harness.publish("the last question")
    assert await harness.answer_next() is Settled.OK
    *_, refused, answered = harness.standin.requests()
    assert refused.status == 400
    assert answered.status == 200
    kept = spoken(answered.messages)
    assert kept == spoken(refused.messages)[-len(kept) :]
    assert 1 < len(kept) < 6
    (*_, reply) = await harness.events(Reply)
    assert reply.turn == 6


async def test_a_question_that_is_too_long_is_buried_and_the_next_one_answered(
    harness: ChattyLlmHandler,
) -> None:
    harness.standin.control(max_model_len=300)
    await harness.publish("word " * 400)
    delivery = await harness.take_wake_up()
    with pytest.raises(Permanent, match="window") as raised:
        await harness.handler.handle(delivery, harness.context)
    await harness.publish("hello")  # ready by now, and not to be buried with it
    settled = await harness.handler.bury(
        delivery, harness.context, reason="permanent", error=str(raised.value)
    )
    assert settled is Settled.OK
    (error,) = await harness.events(Error)
    assert (error.turn, error.data.stage, error.data.reason) == (1, "llm", "permanent")
    assert "window" in error.data.error
    ((_, letter),) = await harness.redis.xrange(harness.shard.dead)
    assert letter[b"worker"] == WORKER.encode()
    assert letter[b"text"].startswith(b"word")
    assert await harness.answer_next() is Settled.OK
    assert [reply.turn for reply in await harness.events(Reply)] == [2]
    assert await harness.nothing_waits()


async def test_a_bad_turn_takes_no_merged_neighbours_with_it(harness: ChattyLlmHandler) -> None:
    harness.standin.control(max_model_len=300)
    for text in ("hello", "word " * 400, "good bye"):
        await harness.publish(text)
    assert await harness.answer_next() is Settled.OK  # alone, after the three together were refused
    delivery = await harness.take_wake_up()
    with pytest.raises(Permanent) as raised:
        await harness.handler.handle(delivery, harness.context)
    await harness.handler.bury(
        delivery, harness.context, reason="permanent", error=str(raised.value)
    )
    assert await harness.answer_next() is Settled.OK
    assert [reply.turn for reply in await harness.events(Reply)] == [1, 3]
    assert [error.turn for error in await harness.events(Error)] == [2]
    assert await harness.nothing_waits()
