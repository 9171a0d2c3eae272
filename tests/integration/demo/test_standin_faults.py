"""The stand-in fails on demand, in each way in which an LLM server fails."""

from __future__ import annotations

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.integration.demo.chat_client import HELLO, read_stream, read_whole_reply
from tests.support.standin_server import StandIn


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
            await read_whole_reply(client)
        assert caught.value.status_code == status
        assert caught.value.response.headers["retry-after"] == "2"
    assert (await read_whole_reply(client))[1] == "stop"

    assert [entry.status for entry in server.requests()] == [status, status, 200]


async def test_a_failure_everywhere_shows_in_health_without_being_used_up(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(fail={"status": 503, "count": 1, "everywhere": True})

    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{server.origin}/health")).status_code == 503
        assert (await http.get(f"{server.base_url}/models")).status_code == 503
        with pytest.raises(openai.InternalServerError):
            await read_whole_reply(client)
        assert (await http.get(f"{server.origin}/health")).status_code == 200


async def test_a_hanging_server_answers_nothing_until_the_client_gives_up(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(hang=True)

    with pytest.raises(openai.APITimeoutError):
        await read_whole_reply(client, timeout=0.3)

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
        await read_stream(client, heard, timeout=0.5)

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
        await read_stream(client, heard)
    with pytest.raises(openai.APIConnectionError):
        await read_whole_reply(client)

    assert [entry.tokens for entry in server.requests()] == [after, after]
    assert server.requests()[0].reply == "".join(heard)
    assert not any(entry.aborted for entry in server.requests())


async def test_an_engine_that_dies_in_mid_stream_is_a_bare_api_error(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(error_after_tokens=4)
    heard: list[str] = []

    with pytest.raises(openai.APIError) as caught:
        await read_stream(client, heard)

    assert heard
    assert not isinstance(caught.value, openai.APIStatusError)
    assert "EngineCore encountered an issue" in caught.value.message
    with pytest.raises(openai.InternalServerError):
        await read_whole_reply(client)


async def test_a_stream_can_end_properly_with_a_strange_reason(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(finish_reason="abort")
    heard: list[str] = []

    assert await read_stream(client, heard) == "abort"
    assert heard
    assert (await read_whole_reply(client))[1] == "abort"


@pytest.mark.parametrize(
    ("knob", "reason"), [("empty_reply", "stop"), ("content_filter", "content_filter")]
)
async def test_a_reply_can_be_empty(
    server: StandIn, client: AsyncOpenAI, knob: str, reason: str
) -> None:
    server.control(**{knob: True})
    heard: list[str] = []

    assert await read_stream(client, heard) == reason
    assert heard == []
    assert await read_whole_reply(client) == ("", reason)


async def test_a_stream_can_end_without_saying_that_it_is_finished(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(end_without_finish=True)
    heard: list[str] = []

    assert await read_stream(client, heard, stream_options={"include_usage": True}) is None
    assert "".join(heard) == server.requests()[0].reply


async def test_faults_stop_after_as_many_replies_as_was_asked_for(
    server: StandIn, client: AsyncOpenAI
) -> None:
    server.control(drop_after_tokens=2, fault_count=1)

    with pytest.raises(openai.APIConnectionError):
        await read_stream(client, [])

    assert await read_stream(client, []) == "stop"


async def test_a_wrong_or_missing_key_is_refused_under_v1_only(
    server: StandIn, client: AsyncOpenAI
) -> None:
    assert server.control(api_key="right")["api_key"] == "**********"

    with pytest.raises(openai.AuthenticationError) as caught:
        await read_whole_reply(client)
    assert caught.value.body == "Unauthorized"
    assert (await read_whole_reply(client.with_options(api_key="right")))[1] == "stop"
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
    assert (await read_whole_reply(client))[1] == "stop"
