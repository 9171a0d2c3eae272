"""Newer speech stops a reply to older speech in a session that wants this; what was said
is kept."""

import asyncio

from common.events import Reply, Skipped
from common.transitions.claims import Settled
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.integration.workers.llm.handler.chatty_handler import ChattyLlmHandler, spoken
from tests.support.llm_handler import SESSION
from tests.support.standin_server import TEN_WORDS
from tests.support.waiting import until


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
    await publish(
        harness.store,
        Utterance(id="slow", session=SESSION, audio=b"ab", samples=1, codec="pcm_s16le"),
    )
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
