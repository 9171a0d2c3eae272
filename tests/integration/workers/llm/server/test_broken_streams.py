"""A stream that breaks or stands still is one failed attempt, and no reply."""

import asyncio
from typing import Any

import pytest

from common.errors import Permanent, Transient
from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.integration.workers.llm.server.llm_server_client import (
    HELLO,
    MAX_TOKENS,
    failure,
    running_client,
    transient_message,
    until_listed,
)
from tests.support.standin_server import TEN_WORDS, StandIn
from workers.llm.meanings.errors import ContextTooLong

# -- streams that break


@pytest.mark.parametrize(
    ("fault", "phrase"),
    [
        ({"error_after_tokens": 2}, "EngineCore"),
        ({"error_after_tokens": 0}, "EngineCore"),
        ({"drop_after_tokens": 2}, "closed the connection"),
        ({"finish_reason": "abort"}, "'abort'"),
    ],
)
async def test_a_stream_that_breaks_is_a_failed_attempt(
    standin: StandIn, fault: dict[str, Any], phrase: str
) -> None:
    standin.control(**fault)
    async with running_client(standin.base_url) as server:
        assert phrase in transient_message(await failure(server), opens_breaker=False)


async def test_a_content_filter_is_final(standin: StandIn) -> None:
    standin.control(content_filter=True)
    async with running_client(standin.base_url) as server:
        assert isinstance(await failure(server), Permanent)


async def test_a_server_killed_in_mid_stream() -> None:
    with StandIn("--tokens-per-s", "1") as standin:
        standin.control(reply=TEN_WORDS)
        async with running_client(standin.base_url) as server:
            pieces = server.generate(HELLO, MAX_TOKENS)
            assert await anext(pieces) == "one"
            standin.kill()
            with pytest.raises(Transient) as raised:
                _ = [piece async for piece in pieces]
            transient_message(raised.value, opens_breaker=False)
            transient_message(await failure(server), opens_breaker=True)  # it is gone


async def test_a_stream_of_something_else() -> None:
    for data in ("{not json", "5", '{"choices":[{"delta":null}]}', '{"object":"error"}'):
        stream = http_response("200 OK", f"data: {data}\n\n", kind="text/event-stream")
        async with (
            running_raw_server(stream) as url,
            running_client(url, model="m") as server,
        ):
            transient_message(await failure(server), opens_breaker=False)


async def test_an_error_in_the_stream_counts_by_its_code() -> None:
    event = '{"error":{"message":"the prompt is too long","code":400,"type":"BadRequestError"}}'
    stream = http_response("200 OK", f"data: {event}\n\n", kind="text/event-stream")
    async with running_raw_server(stream) as url, running_client(url, model="m") as server:
        assert isinstance(await failure(server), ContextTooLong)


# -- deadlines


async def test_no_first_token_in_time(standin: StandIn) -> None:
    standin.control(hang=True)
    async with running_client(standin.base_url, first_token_timeout_s=0.05) as server:
        why = transient_message(await failure(server), opens_breaker=False)
        await until_listed(standin, lambda listing: not listing.active)
    assert "EARSHOT_LLM__FIRST_TOKEN_TIMEOUT_S" in why


async def test_no_further_token_in_time(standin: StandIn) -> None:
    standin.control(hang_after_tokens=2)
    async with running_client(standin.base_url, token_timeout_s=0.3) as server:
        why = transient_message(await failure(server), opens_breaker=False)
        listing = await until_listed(standin, lambda listing: not listing.active)
    assert "EARSHOT_LLM__TOKEN_TIMEOUT_S" in why
    assert listing.requests[0].aborted


async def test_the_role_alone_is_no_token() -> None:
    """Some servers send it as soon as they have the request: the first deadline goes on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        chunk = '{"choices":[{"delta":{"role":"assistant","content":""}}]}'
        writer.write(http_response("200 OK", f"data: {chunk}\n\n", kind="text/event-stream"))
        await writer.drain()
        await reader.read()  # until_listed the client has had enough
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        async with running_client(
            url, model="m", first_token_timeout_s=0.3, token_timeout_s=60
        ) as server:
            assert "FIRST_TOKEN" in transient_message(await failure(server), opens_breaker=False)


async def test_no_number_of_timeouts_tells_by_itself_that_the_server_is_unusable(
    standin: StandIn,
) -> None:
    """They may all be about one request: the breaker asks the server."""
    standin.control(hang_after_tokens=1)
    async with running_client(standin.base_url, token_timeout_s=0.2) as server:
        for _ in range(4):
            transient_message(await failure(server), opens_breaker=False)
