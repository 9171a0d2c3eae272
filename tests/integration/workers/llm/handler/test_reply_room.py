"""A question is answered wherever the window holds it, with a shorter reply if need be; a system
prompt that is too long is a wrong setting, for which no turn is buried."""

import pytest

from common.errors import Misconfigured, Permanent
from common.events import Error, Reply
from common.redis.store import Store
from common.transitions.claims import Settled
from tests.integration.workers.llm.handler.chatty_handler import running_handler
from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.support.llm_handler import LlmHandlerHarness
from tests.support.standin_server import StandIn

ROOM = {"system_prompt": "Be kind.", "min_tokens": 400, "max_tokens": 400}
REPLY = 'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


async def test_a_question_that_fits_is_answered_with_a_shorter_reply(
    store: Store, standin: StandIn
) -> None:
    """The stand-in cuts replies; a server that refuses them is below."""
    standin.control(max_model_len=420)
    async with running_handler(store, standin, **ROOM) as harness:
        await harness.publish("word " * 300)
        assert await harness.answer_next() is Settled.OK
        assert len(await harness.events(Reply)) == 1


OPENAI = (
    "This model's maximum context length is {window} tokens. However, you requested {total} tokens"
    " ({prompt} in the messages, {asked} in the completion). Please reduce the length of the"
    " messages or completion."
)
VLLM = (
    "This model's maximum context length is {window} tokens. However, you requested {asked} output"
    " tokens and your prompt contains at least {prompt} input tokens, for a total of at least"
    " {total} tokens."
)
UNCOUNTED = "the request exceeds the available context size, try increasing it"


@pytest.mark.parametrize(
    ("words", "asked"),
    [(OPENAI, [400, 120]), (VLLM, [400, 120]), (UNCOUNTED, [400, 200, 100])],
    ids=["OpenAI", "vLLM", "llama.cpp"],
)
async def test_a_server_that_counts_the_reply_in_is_asked_for_a_shorter_one(
    store: Store, words: str, asked: list[int]
) -> None:
    seen: list[int] = []
    window, prompt = 1000, 880

    def answer(_: bytes, body: bytes) -> bytes:
        tokens = _max_tokens(body)
        seen.append(tokens)
        if prompt + tokens <= window:
            return http_response("200 OK", REPLY, kind="text/event-stream")
        said = words.format(window=window, total=prompt + tokens, prompt=prompt, asked=tokens)
        error = f'{{"error":{{"message":"{said}","code":"context_length_exceeded"}}}}'
        return http_response("400 Bad Request", error)

    async with (
        running_raw_server(with_body=answer) as url,
        LlmHandlerHarness.running(store, url, model="m", **ROOM) as harness,
    ):
        await harness.publish("hello")
        assert await harness.answer_next() is Settled.OK
    assert seen == asked


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("max_tokens is too large: {asked}. This model supports at most 100 completion tokens.", 2),
        ("Range of max_tokens should be [1, 100]", 2),
        ("max_tokens must be <= 100 and > 0, got {asked}", 2),
        ("too much was asked for", 3),
    ],
)
async def test_the_longest_reply_that_the_server_gives_is_learnt_once(
    store: Store, words: str, asked: int
) -> None:
    seen: list[int] = []

    def answer(_: bytes, body: bytes) -> bytes:
        tokens = _max_tokens(body)
        seen.append(tokens)
        if tokens <= 100:
            return http_response("200 OK", REPLY, kind="text/event-stream")
        said = words.format(asked=tokens)
        error = f'{{"error":{{"message":"{said}","param":"max_tokens"}}}}'
        return http_response("400 Bad Request", error)

    async with (
        running_raw_server(with_body=answer) as url,
        LlmHandlerHarness.running(store, url, model="m", **ROOM) as harness,
    ):
        for text in ("hello", "and again"):
            await harness.publish(text)
            assert await harness.answer_next() is Settled.OK
    assert seen[asked - 1 :] == [100, 100]


async def test_a_question_that_leaves_no_room_is_refused(store: Store, standin: StandIn) -> None:
    standin.control(max_model_len=420)
    async with running_handler(store, standin, **ROOM) as harness:
        await harness.publish("word " * 500)
        delivery = await harness.take_wake_up()
        with pytest.raises(Permanent, match="does not fit") as raised:
            await harness.handler.handle(delivery, harness.context)
        assert not isinstance(raised.value, Misconfigured)


async def test_a_system_prompt_above_the_window_buries_nothing(
    store: Store, standin: StandIn
) -> None:
    standin.control(max_model_len=200)
    settings = {"system_prompt": "Be kind. " * 200, "min_tokens": 20, "max_tokens": 20}
    async with running_handler(store, standin, **settings) as harness:
        await harness.publish("hello")
        delivery = await harness.take_wake_up()
        with pytest.raises(Misconfigured, match="system prompt of the persona"):
            await harness.handler.handle(delivery, harness.context)
        assert await harness.events(Error) == []


def _max_tokens(body: bytes) -> int:
    return int(body.partition(b'"max_tokens":')[2].partition(b",")[0].strip(b" }"))
