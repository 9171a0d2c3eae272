"""A reply streams in pieces and ends in one result; the server stops when nobody wants the reply
any more."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.integration.workers.llm.server.llm_server_client import (
    HELLO,
    MAX_TOKENS,
    ask,
    running_client,
    until_listed,
)
from tests.support.standin_server import TEN_WORDS, StandIn
from workers.llm.answers.finished import Finished

# -- replies


async def test_pieces_then_the_result(standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS)
    async with running_client(standin.base_url) as server:
        parts = [part async for part in server.generate(HELLO, MAX_TOKENS)]
    *pieces, finished = parts
    assert "".join(map(str, pieces)) == TEN_WORDS
    assert isinstance(finished, Finished)
    assert finished.finish_reason == "stop"
    assert finished.model == "stand-in"
    assert finished.usage is not None
    assert finished.usage["completion_tokens"] == 10
    prompt, total = finished.usage["prompt_tokens"], finished.usage["total_tokens"]
    assert total == prompt + 10


async def test_what_is_asked_for(standin: StandIn) -> None:
    async with running_client(standin.base_url, temperature=0.25) as server:
        await ask(server)
    (request,) = standin.requests()
    assert request.messages == HELLO
    assert request.params["max_tokens"] == MAX_TOKENS
    assert request.params["temperature"] == 0.25
    assert request.params["stream_options"] == {"include_usage": True}
    assert request.headers["x-stainless-retry-count"] == "0"


async def test_a_reply_cut_at_its_limit_says_so(standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS)
    async with running_client(standin.base_url) as server:
        text, finished = await ask(server, max_tokens=3)
    assert text == "one two three"
    assert finished.finish_reason == "length"


async def test_an_empty_reply_is_a_reply(standin: StandIn) -> None:
    standin.control(empty_reply=True)
    async with running_client(standin.base_url) as server:
        text, finished = await ask(server)
    assert (text, finished.finish_reason) == ("", "stop")


async def test_half_a_surrogate_pair_does_not_get_through() -> None:
    chunk = '{"choices":[{"delta":{"content":"so \\ud83d"},"finish_reason":"stop"}]}'
    stream = http_response("200 OK", f"data: {chunk}\n\ndata: [DONE]\n\n", kind="text/event-stream")
    async with (
        running_raw_server(stream) as url,
        running_client(url, model="m") as server,
    ):
        text, finished = await ask(server)
    assert text == "so ?"
    assert finished == Finished("stop", "m")


# -- stopping


async def test_closing_stops_the_server(standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS, tokens_per_s=1)
    async with running_client(standin.base_url) as server:
        async with aclosing(server.generate(HELLO, MAX_TOKENS)) as pieces:
            assert await anext(pieces) == "one"
        listing = await until_listed(standin, lambda listing: not listing.active)
    assert listing.requests[0].aborted
    assert listing.requests[0].tokens < 10


@pytest.mark.parametrize("fault", [{"hang": True}, {"hang_after_tokens": 2}])
async def test_cancelling_stops_the_server(standin: StandIn, fault: dict[str, Any]) -> None:
    standin.control(**fault)
    async with running_client(standin.base_url) as server:
        asking = asyncio.create_task(ask(server))
        await until_listed(standin, lambda listing: listing.active)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        listing = await until_listed(standin, lambda listing: not listing.active)
    assert listing.requests[0].aborted
