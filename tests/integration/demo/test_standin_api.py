"""The stand-in answers the OpenAI API as vLLM does: streams, usage, limits and errors.

These tests ask through the real client over real HTTP, and know of the server
only its URL, model and window, so that they hold for vLLM as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.support.standin_server import StandIn

WINDOW = 512
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello."}]


@dataclass(frozen=True)
class Endpoint:
    """A server under test."""

    origin: str
    model: str
    window: int


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with StandIn("--first-token-ms", "1", "--tokens-per-s", "2000") as stand_in:
        stand_in.control(max_model_len=WINDOW)
        yield stand_in


@pytest.fixture
def endpoint(server: StandIn) -> Endpoint:
    return Endpoint(server.origin, "stand-in", WINDOW)


@pytest.fixture
async def client(endpoint: Endpoint) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{endpoint.origin}/v1", api_key="any", max_retries=0, timeout=30
    ) as opened:
        yield opened


async def streamed(
    client: AsyncOpenAI, endpoint: Endpoint, **extra: Any
) -> list[ChatCompletionChunk]:
    """All chunks of the answer to `HELLO`."""
    stream = await client.chat.completions.create(
        model=endpoint.model, messages=HELLO, stream=True, **extra
    )
    return [chunk async for chunk in stream]


async def test_a_stream_is_role_content_finish_and_then_usage_without_choices(
    client: AsyncOpenAI, endpoint: Endpoint
) -> None:
    first, *content, finish, last = await streamed(
        client, endpoint, stream_options={"include_usage": True}, max_tokens=16
    )

    assert first.choices[0].delta.role == "assistant"
    assert first.choices[0].delta.content == ""
    assert content
    assert all(chunk.choices[0].delta.content for chunk in content)
    assert all(chunk.choices[0].finish_reason is None for chunk in (first, *content))
    assert finish.choices[0].finish_reason in ("stop", "length")
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert {chunk.id for chunk in (first, *content, finish, last)} == {first.id}
    assert last.model == endpoint.model


async def test_without_include_usage_no_chunk_carries_one(
    client: AsyncOpenAI, endpoint: Endpoint
) -> None:
    chunks = await streamed(client, endpoint, max_tokens=16)

    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


async def test_a_stream_ends_with_done(endpoint: Endpoint) -> None:
    body = {"model": endpoint.model, "messages": HELLO, "stream": True, "max_tokens": 4}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        answer = await http.post(f"{endpoint.origin}/v1/chat/completions", json=body)

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event for event in answer.text.split("\n\n") if event]
    assert all(event.startswith("data: ") for event in events)
    assert events[-1] == "data: [DONE]"


async def test_streamed_and_whole_answers_say_the_same(
    client: AsyncOpenAI, endpoint: Endpoint
) -> None:
    chunks = await streamed(client, endpoint, temperature=0, max_tokens=32)
    whole = await client.chat.completions.create(
        model=endpoint.model, messages=HELLO, temperature=0, max_tokens=32
    )

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert whole.choices[0].message.role == "assistant"
    assert whole.choices[0].message.content == text
    assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


@pytest.mark.parametrize("param", ["max_tokens", "max_completion_tokens"])
async def test_token_limits_end_the_reply_with_length(
    client: AsyncOpenAI, endpoint: Endpoint, param: str
) -> None:
    *_, finish, last = await streamed(
        client, endpoint, stream_options={"include_usage": True}, **{param: 3}
    )

    assert finish.choices[0].finish_reason == "length"
    assert last.usage is not None
    assert last.usage.completion_tokens == 3


async def test_more_than_the_window_has_left_is_clamped_silently(
    client: AsyncOpenAI, endpoint: Endpoint
) -> None:
    answer = await client.chat.completions.create(
        model=endpoint.model,
        messages=HELLO,
        max_tokens=endpoint.window,
        extra_body={"ignore_eos": True},
    )

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.total_tokens == endpoint.window


async def test_a_wrong_model_is_not_found(client: AsyncOpenAI, endpoint: Endpoint) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="x", messages=HELLO)

    assert error_of(caught.value)["message"].startswith("The model `x` does not exist.")
    assert error_of(caught.value)["type"] == "NotFoundError"
    assert error_of(caught.value)["code"] == 404


def long_prompt(endpoint: Endpoint) -> list[dict[str, object]]:
    return [{"role": "user", "content": "word " * endpoint.window * 2}]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        pytest.param({"max_tokens": WINDOW + 1}, "max_tokens", id="max_tokens above the window"),
        pytest.param({"messages": "long"}, "input_tokens", id="prompt above the window"),
        pytest.param({"max_tokens": 0}, "max_tokens", id="max_tokens 0"),
        pytest.param({"messages": []}, None, id="no messages"),
        pytest.param({"messages": [{"role": "user", "content": None}]}, None, id="content null"),
        pytest.param({"messages": [{"role": "user"}]}, None, id="no content"),
    ],
)
async def test_what_cannot_be_answered_is_a_bad_request(
    client: AsyncOpenAI, endpoint: Endpoint, change: dict[str, Any], param: str | None
) -> None:
    request = {"model": endpoint.model, "messages": HELLO, **change}
    if request["messages"] == "long":
        request["messages"] = long_prompt(endpoint)
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**request)

    error = error_of(caught.value)
    assert error["code"] == 400
    assert error["message"]
    if param is not None:
        assert error["param"] == param
        assert error["type"] == "BadRequestError"


async def test_an_empty_content_and_a_system_prompt_are_accepted(
    client: AsyncOpenAI, endpoint: Endpoint
) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": ""},
    ]
    answer = await client.chat.completions.create(
        model=endpoint.model, messages=messages, max_tokens=8
    )

    assert answer.choices[0].message.role == "assistant"


async def test_models_state_their_window(client: AsyncOpenAI, endpoint: Endpoint) -> None:
    listed = await client.models.list()

    by_id = {model.id: model for model in listed.data}
    assert by_id[endpoint.model].model_dump()["max_model_len"] == endpoint.window


async def test_health_is_an_empty_200(endpoint: Endpoint) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{endpoint.origin}/health")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_tokenize_counts_as_the_usage_does(client: AsyncOpenAI, endpoint: Endpoint) -> None:
    answer = await client.chat.completions.create(
        model=endpoint.model, messages=HELLO, max_tokens=1
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        chat = await http.post(
            f"{endpoint.origin}/tokenize", json={"model": endpoint.model, "messages": HELLO}
        )
        text = await http.post(
            f"{endpoint.origin}/tokenize", json={"model": endpoint.model, "prompt": "Hello."}
        )

    assert answer.usage is not None
    assert chat.json()["count"] == len(chat.json()["tokens"]) == answer.usage.prompt_tokens
    assert chat.json()["max_model_len"] == endpoint.window
    assert 0 < text.json()["count"] < chat.json()["count"]


def error_of(error: openai.APIStatusError) -> dict[str, Any]:
    """The error object of the answer, after a look at its shape."""
    body = error.response.json()["error"]
    assert set(body) == {"message", "type", "param", "code"}
    return dict(body)
