"""The stand-in fails on demand, in each way in which an LLM server fails, and tells what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.support.standin_server import StandIn

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello."}]
LONG = "word " * 200


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with StandIn("--first-token-ms", "1", "--tokens-per-s", "1000") as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def _fresh(server: StandIn) -> None:
    server.reset()


@pytest.fixture
async def client(server: StandIn) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=server.base_url, api_key="any", max_retries=0, timeout=30
    ) as opened:
        yield opened


async def whole(client: AsyncOpenAI, **extra: Any) -> tuple[str | None, str | None]:
    """Text and finish reason of an answer that is not streamed."""
    answer = await client.chat.completions.create(model="stand-in", messages=HELLO, **extra)
    return answer.choices[0].message.content, answer.choices[0].finish_reason


async def streamed(client: AsyncOpenAI, into: list[str], **extra: Any) -> str | None:
    """Collect the streamed texts in `into`: the finish reason, None if there was none."""
    reason = None
    stream = await client.chat.completions.create(
        model="stand-in", messages=HELLO, stream=True, **extra
    )
    async for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                into.append(choice.delta.content)
            reason = choice.finish_reason or reason
    return reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
        (403, openai.PermissionDeniedError),
    ],
)
async def test_as_many_requests_fail_as_was_asked_for(
    server: StandIn, client: AsyncOpenAI, status: int, kind: type[openai.APIStatusError]
) -> None:
    server.control(fail={"status": status, "count": 2}, retry_after_s=2)

    for _ in range(2):
        with pytest.raises(kind) as caught:
            await whole(client)
        assert caught.value.status_code == status
        assert caught.value.response.headers["retry-after"] == "2"
    assert (await whole(client))[1] == "stop"

    assert [entry.status for entry in server.requests()] == [status, status, 200]


async def test_a_failure_everywhere_shows_in_health_without_being_used_up(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(fail={"status": 503, "count": 1, "everywhere": True})

    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{server.origin}/health")).status_code == 503
        assert (await http.get(f"{server.base_url}/models")).status_code == 503
        with pytest.raises(openai.InternalServerError):
            await whole(client)
        assert (await http.get(f"{server.origin}/health")).status_code == 200


async def test_a_hanging_server_answers_nothing_until_the_client_gives_up(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(hang=True)

    with pytest.raises(openai.APITimeoutError):
        await whole(client, timeout=0.3)

    server.wait_for(lambda listing: listing.active == 0)
    (entry,) = server.requests()
    assert entry.aborted
    assert entry.status is None
    assert entry.tokens == 0


async def test_a_stream_that_falls_silent_has_said_as_much_as_was_asked_for(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(hang_after_tokens=3)
    heard: list[str] = []

    with pytest.raises(openai.APITimeoutError):
        await streamed(client, heard, timeout=0.5)

    server.wait_for(lambda listing: listing.active == 0)
    (entry,) = server.requests()
    assert entry.tokens == 3
    assert entry.reply == "".join(heard)
    assert entry.aborted


@pytest.mark.parametrize("after", [0, 5])
async def test_a_dropped_connection_is_a_connection_error(
    server: StandIn, client: AsyncOpenAI, after: int
) -> None:
    server.control(drop_after_tokens=after)
    heard: list[str] = []

    with pytest.raises(openai.APIConnectionError):
        await streamed(client, heard)
    with pytest.raises(openai.APIConnectionError):
        await whole(client)

    assert [entry.tokens for entry in server.requests()] == [after, after]
    assert server.requests()[0].reply == "".join(heard)
    assert not any(entry.aborted for entry in server.requests())


async def test_an_engine_that_dies_in_mid_stream_is_a_bare_api_error(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(error_after_tokens=4)
    heard: list[str] = []

    with pytest.raises(openai.APIError) as caught:
        await streamed(client, heard)

    assert heard
    assert not isinstance(caught.value, openai.APIStatusError)
    assert "EngineCore encountered an issue" in caught.value.message
    with pytest.raises(openai.InternalServerError):
        await whole(client)


async def test_a_stream_can_end_properly_with_a_strange_reason(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(finish_reason="abort")
    heard: list[str] = []

    assert await streamed(client, heard) == "abort"
    assert heard
    assert (await whole(client))[1] == "abort"


@pytest.mark.parametrize(
    ("knob", "reason"), [("empty_reply", "stop"), ("content_filter", "content_filter")]
)
async def test_a_reply_can_be_empty(
    server: StandIn, client: AsyncOpenAI, knob: str, reason: str
) -> None:
    server.control(**{knob: True})
    heard: list[str] = []

    assert await streamed(client, heard) == reason
    assert heard == []
    assert await whole(client) == ("", reason)


async def test_a_stream_can_end_without_saying_that_it_is_finished(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(end_without_finish=True)
    heard: list[str] = []

    assert await streamed(client, heard, stream_options={"include_usage": True}) is None
    assert "".join(heard) == server.requests()[0].reply


async def test_faults_stop_after_as_many_replies_as_was_asked_for(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(drop_after_tokens=2, fault_count=1)

    with pytest.raises(openai.APIConnectionError):
        await streamed(client, [])

    assert await streamed(client, []) == "stop"


async def test_a_client_that_leaves_stops_the_generation(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(reply=LONG, tokens_per_s=20)
    stream = await client.chat.completions.create(model="stand-in", messages=HELLO, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert server.listing().active == 1
    await stream.close()

    (entry,) = server.wait_for(lambda listing: listing.active == 0).requests
    assert entry.aborted
    assert 1 <= entry.tokens < 200
    assert entry.finish_reason is None
    assert entry.ended_ms is not None


async def test_leaving_a_whole_answer_stops_the_generation_too(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(reply=LONG, tokens_per_s=20)

    with pytest.raises(openai.APITimeoutError):
        await whole(client, timeout=0.3)

    (entry,) = server.wait_for(lambda listing: listing.active == 0).requests
    assert entry.aborted
    assert entry.tokens < 200


async def test_a_wrong_or_missing_key_is_refused_under_v1_only(
    server: StandIn, client: AsyncOpenAI
) -> None:
    assert server.control(api_key="right")["api_key"] == "**********"

    with pytest.raises(openai.AuthenticationError) as caught:
        await whole(client)
    assert caught.value.body == "Unauthorized"
    assert (await whole(client.with_options(api_key="right")))[1] == "stop"
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{server.base_url}/models")).status_code == 401
        assert (await http.get(f"{server.origin}/health")).status_code == 200
        tokenized = await http.post(f"{server.origin}/tokenize", json={"prompt": "a"})
        assert tokenized.status_code == 200


async def test_a_template_can_refuse_the_system_role(server: StandIn, client: AsyncOpenAI) -> None:
    server.control(reject_system_role=True)
    with_system: list[ChatCompletionMessageParam] = [{"role": "system", "content": "Be brief."}]

    with pytest.raises(openai.BadRequestError, match="must alternate user/assistant"):
        await client.chat.completions.create(model="stand-in", messages=with_system + HELLO)
    assert (await whole(client))[1] == "stop"


async def test_requests_show_what_reached_the_server(server: StandIn, client: AsyncOpenAI) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    heard: list[str] = []
    await streamed(
        client,
        heard,
        temperature=0.25,
        extra_headers={"traceparent": traceparent},
        extra_body={"top_k": 7},
    )

    (entry,) = server.requests()
    assert entry.messages == HELLO
    assert entry.params == {"model": "stand-in", "stream": True, "temperature": 0.25, "top_k": 7}
    assert entry.headers["traceparent"] == traceparent
    assert "authorization" not in entry.headers
    assert entry.first_token_ms is not None
    assert entry.ended_ms is not None
    assert entry.started_ms <= entry.first_token_ms <= entry.ended_ms
    assert entry.reply == "".join(heard)
    assert entry.finish_reason == "stop"
    assert not entry.aborted


async def test_an_unknown_knob_is_refused_and_changes_nothing(server: StandIn) -> None:
    before = server.control()
    async with httpx.AsyncClient(trust_env=False) as http:
        unknown = await http.post(f"{server.origin}/control", json={"hang": True, "typo": 1})
        form = await http.post(f"{server.origin}/control", data={"hang": "true"})

    assert unknown.status_code == 400
    assert "typo" in unknown.json()["error"]["message"]
    assert form.status_code == 400
    assert server.control() == before


async def test_a_body_that_is_no_json_object_is_refused_and_noted(server: StandIn) -> None:
    bodies = [b"{", b"[]", b'"text"', b'{"messages": "\\ud800"}', b"\xff", b""]
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(trust_env=False) as http:
        for body in bodies:
            answer = await http.post(
                f"{server.base_url}/chat/completions", content=body, headers=headers
            )
            assert answer.status_code == 400
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        unknown = await http.get(f"{server.base_url}/unknown")

    assert unknown.status_code == unknown.json()["error"]["code"] == 404
    assert [entry.status for entry in server.requests()] == [400] * len(bodies)


async def test_sixty_four_streams_run_side_by_side(server: StandIn, client: AsyncOpenAI) -> None:
    server.control(reply="word " * 20, tokens_per_s=20)

    heard: list[list[str]] = [[] for _ in range(64)]
    reasons = await asyncio.gather(*(streamed(client, texts) for texts in heard))

    assert reasons == ["stop"] * 64
    assert {"".join(texts) for texts in heard} == {"word " * 20}
    assert server.listing().peak_active == 64
