"""Every turn ends in one event, in order; the conversation is remembered, and can be interrupted.

The handler of the LLM worker on a real Redis and the stand-in over HTTP, without the loop.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock

import pytest
from redis.exceptions import RedisClusterException

from common.errors import BadEntry, Lost, Permanent, Transient
from common.events import Error, Reply, Skipped
from common.keys import LLM_GROUP
from common.redis.store import Store
from common.settings import LlmSettings
from common.transitions.claims import Claim, Settled
from common.transitions.personas import set_persona
from common.transitions.publishing import publish
from common.utterance import Utterance
from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.replies import reply_to
from tests.conftest import FAST
from tests.integration.workers.llm.test_server import listening, response
from tests.support.llm_handler import PATIENCE_S, SESSION, WORKER, LlmHandlerHarness
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until
from workers.llm import publisher, tokens
from workers.llm.persona import Personas
from workers.llm.tokens import Tokenizer
from workers.loop.handler import Delivery

DEFAULT_PROMPT = Personas(LlmSettings()).default.system_prompt
TEN_WORDS = "one two three four five six seven eight nine ten"


class ChattyLlmHandler(LlmHandlerHarness):
    """With the stand-in, which knows what it was asked."""

    standin: StandIn

    def prompts(self) -> list[list[dict[str, str]]]:
        """The messages of each request that reached the server."""
        return [request.messages for request in self.standin.requests()]


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with StandIn("--first-token-ms", "1", "--tokens-per-s", "2000") as standin:
        yield standin


@pytest.fixture
def standin(running: StandIn) -> Iterator[StandIn]:
    yield running
    running.reset()


@asynccontextmanager
async def running_handler(
    store: Store, standin: StandIn, **settings: Any
) -> AsyncIterator[ChattyLlmHandler]:
    async with ChattyLlmHandler.running(store, standin.base_url, **settings) as harness:
        harness.standin = standin
        yield harness


@pytest.fixture
async def harness(store: Store, standin: StandIn) -> AsyncIterator[ChattyLlmHandler]:
    async with running_handler(store, standin) as harness:
        yield harness


def spoken(messages: list[dict[str, str]]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "user"]


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


# -- memory


CONVERSATION = (
    "Turn on the light.",
    "What time is it?",
    "My name is Ada.",
    "Tell me a joke.",
    "Turn off the light.",
    "Thank you.",
    "What is my name?",
)


async def test_turn_seven_is_answered_from_turn_three(harness: ChattyLlmHandler) -> None:
    for text in CONVERSATION:
        await harness.publish(text)
        await harness.answer_next()
    replies = await harness.events(Reply)
    assert [reply.turn for reply in replies] == list(range(1, 8))
    assert replies[-1].data.text == "You told me that your name is Ada."
    *_, last = harness.prompts()
    assert last[0] == {"role": "system", "content": DEFAULT_PROMPT}
    talk = [message["content"] for message in last[1:]]
    assert talk[::2] == list(CONVERSATION[1:])  # the last five rounds, and the question
    assert talk[1::2] == [reply.data.text for reply in replies[1:6]]
    assert await harness.redis.llen(harness.shard.history(SESSION)) == 10
    # nothing else tells the name: without turn 3 the same question has another answer
    others = [message for message in last if message["content"] != CONVERSATION[2]]
    assert not any("Ada" in message["content"] for message in others)
    assert "Ada" not in reply_to([Message.model_validate(message) for message in others])


async def test_the_system_prompt_is_in_every_request(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, system_prompt="Be kind.", rounds=1) as harness:
        for text in CONVERSATION:
            await harness.publish(text)
            await harness.answer_next()
        assert len(harness.prompts()) == len(CONVERSATION)
        for prompt in harness.prompts():
            assert prompt[0] == {"role": "system", "content": "Be kind."}
            assert [message["role"] for message in prompt].count("system") == 1


async def test_no_rounds_no_memory(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, rounds=0) as harness:
        for _ in range(2):
            await harness.publish("hello")
            await harness.answer_next()
        assert [len(prompt) for prompt in harness.prompts()] == [2, 2]
        assert not await store.redis.exists(harness.shard.history(SESSION))


async def test_turns_that_wait_together_are_answered_as_one(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reply="both")
    for text in ("turn on the light", "and the radio"):
        await harness.publish(text)
    assert await harness.answer_next() is Settled.OK
    assert [spoken(prompt) for prompt in harness.prompts()] == [
        ["turn on the light\nand the radio"]
    ]
    (skipped,) = await harness.events(Skipped)
    assert (skipped.turn, skipped.data.reason, skipped.data.into) == (1, "merged", 2)
    (reply,) = await harness.events(Reply)
    assert reply.turn == 2
    await harness.publish("thank you")
    await harness.answer_next()
    assert spoken(harness.prompts()[-1]) == ["turn on the light\nand the radio", "thank you"]


async def test_no_more_than_max_merge_at_once(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, max_merge=2) as harness:
        for number in range(5):
            await harness.publish(f"line {number}")
        for _ in range(3):
            assert await harness.answer_next() is Settled.OK
        assert [spoken(prompt)[-1] for prompt in harness.prompts()] == [
            "line 0\nline 1",
            "line 2\nline 3",
            "line 4",
        ]
        assert await harness.nothing_waits()


async def test_work_that_was_delivered_often_is_not_merged(harness: ChattyLlmHandler) -> None:
    for text in ("one", "two"):
        await harness.publish(text)
    delivery = await harness.take_wake_up()
    again = Delivery(delivery.claim, delivery.fields, 3)
    assert await harness.handler.handle(again, harness.context) is Settled.OK
    assert [reply.turn for reply in await harness.events(Reply)] == [1]


# -- who answers


async def test_the_producer_chooses_who_answers(harness: ChattyLlmHandler) -> None:
    guide = Personas(harness.settings).get("tour-guide")
    await harness.publish("what is this?", persona="tour-guide")
    await harness.answer_next()
    await harness.publish("and that?")
    await harness.answer_next()
    first, second = harness.standin.requests()
    assert first.messages[0]["content"] == guide.system_prompt
    assert first.params["temperature"] == guide.temperature
    assert first.params["max_tokens"] == guide.min_tokens
    assert second.messages[0]["content"] == DEFAULT_PROMPT
    assert second.params["temperature"] == harness.settings.temperature
    assert len(second.messages) == 4  # the conversation is the same


async def test_the_session_chooses_over_the_producer(harness: ChattyLlmHandler) -> None:
    await set_persona(harness.store, SESSION, "Fitness Coach")
    await harness.publish("what is this?", persona="tour-guide")
    await harness.answer_next()
    (request,) = harness.standin.requests()
    coach = Personas(harness.settings).get("fitness-coach")
    assert request.messages[0]["content"] == coach.system_prompt


async def test_a_persona_nobody_knows_answers_as_the_default(harness: ChattyLlmHandler) -> None:
    await harness.publish("what is this?", persona="butler")
    assert await harness.answer_next() is Settled.OK
    assert harness.prompts()[0][0]["content"] == DEFAULT_PROMPT


async def test_a_persona_remembers_its_own_number_of_rounds(store: Store, standin: StandIn) -> None:
    async with running_handler(store, standin, rounds=1) as harness:
        for number in range(4):
            await harness.publish(f"question {number}", persona="customer-support")
            await harness.answer_next()
        assert len(harness.prompts()[-1]) == 1 + 2 * 3 + 1
        await harness.publish("who are you?", persona="assistant")
        await harness.answer_next()
        assert len(harness.prompts()[-1]) == 1 + 2 + 1
        assert await harness.redis.llen(harness.shard.history(SESSION)) == 2


# -- interruption


async def test_newer_speech_ends_the_reply(harness: ChattyLlmHandler) -> None:
    harness.standin.control(reply=TEN_WORDS, tokens_per_s=2)
    await harness.publish("tell me about numbers", interrupt=True)
    answering = asyncio.create_task(harness.answer_next())
    await until(harness.deltas)
    await harness.publish("stop")
    assert await answering is Settled.OK
    listing = await asyncio.to_thread(harness.standin.wait_for, lambda listing: not listing.active)
    assert listing.requests[0].aborted
    (reply,) = await harness.events(Reply)
    assert (reply.turn, reply.data.interrupted) == (1, True)
    assert reply.data.finish_reason == "interrupted"
    assert reply.data.model == "stand-in"
    assert reply.data.text
    assert TEN_WORDS.startswith(reply.data.text)
    assert reply.data.text != TEN_WORDS
    assert "".join(delta.data.text for delta in await harness.deltas()) == reply.data.text
    harness.standin.control(reply="all right", tokens_per_s=2000)
    assert await harness.answer_next() is Settled.OK
    assert harness.prompts()[-1][1:] == [
        {"role": "user", "content": "tell me about numbers"},
        {"role": "assistant", "content": reply.data.text},
        {"role": "user", "content": "stop"},
    ]


async def test_newer_speech_before_the_first_word_is_answered_with_it(
    harness: ChattyLlmHandler,
) -> None:
    harness.standin.control(first_token_ms=1_000, reply="both")
    await harness.publish("turn on the light", interrupt=True)
    answering = asyncio.create_task(harness.answer_next())
    await asyncio.to_thread(harness.standin.wait_for, lambda listing: listing.active)
    await harness.publish("and the radio", interrupt=True)
    harness.standin.control(first_token_ms=1)
    assert await answering is Settled.OK
    assert [spoken(prompt)[-1] for prompt in harness.prompts()] == [
        "turn on the light",
        "turn on the light\nand the radio",
    ]
    assert [(event.turn, event.data.into) for event in await harness.events(Skipped)] == [(1, 2)]
    (reply,) = await harness.events(Reply)
    assert (reply.turn, reply.data.text, reply.data.interrupted) == (2, "both", False)
    assert {delta.turn for delta in await harness.deltas()} == {2}


async def test_speech_that_cannot_be_merged_yet_does_not_start_it_over_for_ever(
    harness: ChattyLlmHandler,
) -> None:
    """Turn 2 is still being transcribed, turn 3 has its text: only turn 1 can be taken."""
    harness.standin.control(first_token_ms=1_000, reply=TEN_WORDS)
    await harness.publish("turn on the light", interrupt=True)
    answering = asyncio.create_task(harness.answer_next())
    await asyncio.to_thread(harness.standin.wait_for, lambda listing: listing.active)
    await publish(harness.store, Utterance(id="slow", session=SESSION, audio=b"fLaC", samples=1))
    await harness.publish("and the radio", interrupt=True)
    harness.standin.control(first_token_ms=1)
    assert await answering is Settled.OK
    assert [spoken(prompt)[-1] for prompt in harness.prompts()] == ["turn on the light"] * 2
    assert [reply.turn for reply in await harness.events(Reply)] == [1]


async def test_a_session_that_does_not_want_it_is_not_interrupted(
    harness: ChattyLlmHandler,
) -> None:
    harness.standin.control(reply=TEN_WORDS, tokens_per_s=50)
    await harness.publish("tell me about numbers")
    answering = asyncio.create_task(harness.answer_next())
    await until(harness.deltas)
    await harness.publish("stop")
    assert await answering is Settled.OK
    (reply,) = await harness.events(Reply)
    assert (reply.data.text, reply.data.interrupted) == (TEN_WORDS, False)


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


# -- what the server cannot take


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
        with pytest.raises(Transient, match="EARSHOT_LLM__SYSTEM_ROLE") as raised:
            await harness.handler.handle(delivery, harness.context)
    assert raised.value.opens_breaker


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


# -- failed attempts


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
            return response("404 Not Found", "{}")
        stream = streams.pop(0)
        end = full if "half" in stream else "data: [DONE]\n\n"
        return response("200 OK", stream + end, kind="text/event-stream")

    async with (
        listening(answer) as address,
        LlmHandlerHarness.running(store, address, model="m") as harness,
    ):
        for question in ("one", "two"):
            await harness.publish(question)
            assert await harness.answer_next() is Settled.OK
        replies = await harness.events(Reply)
        assert [reply.data.text for reply in replies] == ["first.", "second."]
        assert replies[1].data.attempt == 2
        last = [delta.data for delta in await harness.deltas() if delta.data.attempt == 2]
        assert [piece.text for piece in last] == ["second."]


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
        with pytest.raises(Transient) as raised:
            await harness.handler.handle(delivery, harness.context)
        assert raised.value.opens_breaker
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


# -- wake-ups


async def test_a_wake_up_for_nothing_is_put_away(harness: ChattyLlmHandler) -> None:
    await harness.publish("hello")
    entry = (await harness.take_wake_up()).claim.entry
    await harness.redis.xadd(harness.shard.turns, {"v": "1", "session": SESSION, "turn": "1"})
    assert (
        await harness.handler.handle(await harness.take_wake_up(), harness.context) is Settled.STALE
    )
    rows = await harness.redis.xrange(harness.shard.turns)
    assert [row[0].decode() for row in rows] == [entry]


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
