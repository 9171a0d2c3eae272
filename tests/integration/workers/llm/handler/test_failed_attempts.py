"""A failed attempt publishes nothing final, and the next one begins the text again."""

import asyncio
import json
from typing import Any
from unittest.mock import AsyncMock

import pytest
from redis.exceptions import RedisClusterException

from common.errors import Lost, Transient
from common.events import Error, Reply
from common.keys import LLM_GROUP
from common.redis.store import Store
from common.transitions.claims import Claim, Settled
from tests.conftest import FAST
from tests.integration.workers.llm.handler.chatty_handler import ChattyLlmHandler, running_handler
from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.support.llm_handler import LlmHandlerHarness
from tests.support.redis_server import RedisServer
from tests.support.standin_server import TEN_WORDS, StandIn
from tests.support.waiting import until
from workers.llm import publisher
from workers.loop.handler import Delivery


async def test_the_next_attempt_starts_the_text_again(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reply=TEN_WORDS, error_after_tokens=3, fault_count=1)
    await harness.publish("tell me about numbers")
    delivery = await harness.take_wake_up()
    with pytest.raises(Transient):
        await harness.handler.handle(delivery, harness.context)
    assert await harness.handler.handle(delivery, harness.context) is Settled.OK
    (reply,) = await harness.events(Reply)
    assert (reply.data.text, reply.data.attempt) == (TEN_WORDS, 2)
    second = [delta.data for delta in await harness.deltas() if delta.data.attempt == 2]
    assert [delta.index for delta in second] == list(range(len(second)))
    assert "".join(delta.text for delta in second) == TEN_WORDS


def event(**fields: Any) -> str:
    return f"data: {json.dumps(fields)}\n\n"


def word(text: str, finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return event(id="x", object="chat.completion.chunk", created=0, model="m", choices=[choice])


async def test_a_window_that_is_full_in_mid_reply_leaves_nothing_of_that_reply(
    store: Store,
) -> None:
    """As llama.cpp says it."""
    full = event(
        error={"code": 400, "type": "exceed_context_size_error", "message": "context size"}
    )
    streams = [word("first.", "stop"), word("half a "), word("second.", "stop")]

    def answer(head: bytes) -> bytes:
        if not head.startswith(b"POST /v1/chat/completions"):
            return http_response("404 Not Found", "{}")
        stream = streams.pop(0)
        end = full if "half" in stream else "data: [DONE]\n\n"
        return http_response("200 OK", stream + end, kind="text/event-stream")

    async with (
        running_raw_server(answer) as address,
        LlmHandlerHarness.running(store, address, model="m") as harness,
    ):
        for question in ("one", "two"):
            await harness.publish(question)
            assert await harness.answer_next() is Settled.OK
        replies = await harness.events(Reply)
        assert [reply.data.text for reply in replies] == ["first.", "second."]
        # where the refusal came together with the text, nobody has seen that
        attempt = replies[1].data.attempt
        deltas = [delta.data for delta in await harness.deltas() if delta.turn == 2]
        assert [piece.text for piece in deltas if piece.attempt == attempt] == ["second."]


@pytest.mark.parametrize("asked", ["delta", "newer_speech"])
async def test_a_reply_needs_no_cluster_until_it_is_settled(
    asked: str, harness: ChattyLlmHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = RedisClusterException("Redis Cluster cannot be connected")
    monkeypatch.setattr(publisher, asked, AsyncMock(side_effect=away))
    harness.standin.control(reply=TEN_WORDS)
    await harness.publish("tell me about numbers", interrupt=True)
    assert await harness.answer_next() is Settled.OK
    (reply,) = await harness.events(Reply)
    assert (reply.data.text, reply.data.attempt) == (TEN_WORDS, 1)
    assert len(harness.standin.requests()) == 1


async def test_a_server_that_is_away_buries_nothing(harness: ChattyLlmHandler) -> None:
    harness.standin.control(fail={"status": 503, "count": 2})
    await harness.publish("hello")
    delivery = await harness.take_wake_up()
    for _ in range(2):
        with pytest.raises(Transient):
            await harness.handler.handle(delivery, harness.context)
    assert await harness.handler.handle(delivery, harness.context) is Settled.OK
    assert await harness.events(Error) == []


async def test_whoever_lost_the_session_stops_and_changes_nothing(
    harness: ChattyLlmHandler,
) -> None:
    harness.standin.control(reply=TEN_WORDS, tokens_per_s=2)
    await harness.publish("tell me about numbers")
    slow = await harness.take_wake_up()
    answering = asyncio.create_task(harness.handler.handle(slow, harness.context))
    await until(harness.deltas)
    harness.standin.control(reply="quick", tokens_per_s=2000)
    await harness.redis.xclaim(harness.shard.turns, LLM_GROUP, "llm-2", 0, [slow.claim.entry])
    claim = Claim(harness.shard, harness.shard.turns, slow.claim.entry, "llm-2")
    taken = Delivery(claim, slow.fields, 2)
    assert await harness.handler.handle(taken, harness.context) is Settled.OK
    with pytest.raises(Lost):
        await answering
    listing = await asyncio.to_thread(harness.standin.wait_for, lambda listing: not listing.active)
    assert listing.requests[0].aborted
    assert [reply.data.text for reply in await harness.events(Reply)] == ["quick"]
    assert await harness.handler.handle(slow, harness.context) is Settled.LOST
    assert await harness.handler.bury(slow, harness.context, reason="x", error="y") is Settled.LOST


async def test_cancelling_stops_the_server_and_leaves_the_turn(harness: ChattyLlmHandler) -> None:
    harness.standin.control(hang_after_tokens=2, fault_count=1)
    await harness.publish("hello")
    delivery = await harness.take_wake_up()
    answering = asyncio.create_task(harness.handler.handle(delivery, harness.context))
    await until(harness.deltas)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    listing = await asyncio.to_thread(harness.standin.wait_for, lambda listing: not listing.active)
    assert listing.requests[0].aborted
    assert await harness.handler.handle(delivery, harness.context) is Settled.OK


async def test_a_reply_outlives_an_outage_of_redis(standin: StandIn) -> None:
    durable = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer(options=durable) as redis_server:
        async with (
            redis_server.client() as client,
            running_handler(Store(client, 1, FAST), standin) as harness,
        ):
            standin.control(reply=TEN_WORDS, tokens_per_s=20)
            await harness.publish("tell me about numbers")
            answering = asyncio.create_task(harness.answer_next())
            await until(harness.deltas)
            redis_server.kill()
            await asyncio.to_thread(standin.wait_for, lambda listing: not listing.active)
            assert not answering.done()
            redis_server.start()
            assert await answering is Settled.OK
            (reply,) = await harness.events(Reply)
            assert reply.data.text == TEN_WORDS
            texts = [delta.data.text for delta in await harness.deltas()]
            assert TEN_WORDS.startswith(texts[0])
            assert "".join(texts) != TEN_WORDS  # those of the outage are left out
