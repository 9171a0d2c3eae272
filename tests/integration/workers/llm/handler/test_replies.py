"""A ready turn ends in one reply, and its deltas are the text of that reply."""

from common.events import Reply
from common.redis.store import Store
from common.transitions.claims import Settled
from tests.integration.workers.llm.handler.chatty_handler import ChattyLlmHandler, running_handler
from tests.support.llm_handler import SESSION, WORKER
from tests.support.standin_server import TEN_WORDS, StandIn

# -- a reply


async def test_a_turn_is_answered(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reply=f"  {TEN_WORDS}\n")
    await harness.publish("tell me about numbers")
    assert await harness.answer_next() is Settled.OK
    (reply,) = await harness.events(Reply)
    assert (reply.turn, reply.id) == (1, "u1")
    assert reply.data.text == TEN_WORDS
    assert reply.data.model == "stand-in"
    assert reply.data.finish_reason == "stop"
    assert reply.data.worker == WORKER
    assert reply.data.attempt == 1
    assert not reply.data.interrupted
    assert reply.data.usage.completion_tokens > 0
    timings = reply.data.timings
    assert timings.llm_started <= timings.first_token <= timings.done
    assert await harness.nothing_waits()


async def test_the_deltas_are_the_reply(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reply=f"  {TEN_WORDS}\n", tokens_per_s=100)
    await harness.publish("tell me about numbers")
    await harness.answer_next()
    deltas = await harness.deltas()
    assert deltas  # how many depends on how busy the machine is
    assert [delta.data.index for delta in deltas] == list(range(len(deltas)))
    assert {(delta.turn, delta.data.attempt) for delta in deltas} == {(1, 1)}
    assert "".join(delta.data.text for delta in deltas) == TEN_WORDS


async def test_deltas_are_coalesced(store: Store, standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS, tokens_per_s=50)
    async with running_handler(store, standin, delta_interval_ms=60_000) as harness:
        await harness.publish("tell me about numbers")
        await harness.answer_next()
        texts = [delta.data.text for delta in await harness.deltas()]
    assert 1 <= len(texts) <= 2  # what came at once, and the rest in one piece
    assert texts[0].startswith("one")
    assert "".join(texts) == TEN_WORDS


async def test_a_longer_question_may_have_a_longer_answer(harness: ChattyLlmHandler) -> None:
    for words, expected in ((1, 64), (20, 100), (90, 256)):
        await harness.publish("word " * words)
        await harness.answer_next()
        assert harness.standin.requests()[-1].params["max_tokens"] == expected


async def test_a_reply_at_its_limit_says_so(store: Store, standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS)
    async with running_handler(store, standin, min_tokens=3, max_tokens=3) as harness:
        await harness.publish("go on")
        await harness.answer_next()
        (reply,) = await harness.events(Reply)
    assert (reply.data.text, reply.data.finish_reason) == ("one two three", "length")


# -- empty replies


async def test_an_empty_reply_is_asked_for_again(harness: ChattyLlmHandler) -> None:
    harness.standin.control(empty_reply=True, fault_count=1, reply="here I am")
    await harness.publish("hello?")
    assert await harness.answer_next() is Settled.OK
    (reply,) = await harness.events(Reply)
    assert reply.data.text == "here I am"


async def test_then_it_stands_and_leaves_no_trace_in_the_history(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reply=" \n")
    await harness.publish("hello?")
    assert await harness.answer_next() is Settled.OK
    assert len(harness.prompts()) == 2
    (reply,) = await harness.events(Reply)
    assert (reply.data.text, reply.data.finish_reason) == ("", "stop")
    assert await harness.deltas() == []
    assert not await harness.redis.exists(harness.shard.history(SESSION))
