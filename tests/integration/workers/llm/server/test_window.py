"""The window is what the server lists, and the server counts the tokens that go into it; one that
cannot count costs nothing."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from common.settings import LlmSettings
from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.integration.workers.llm.server.llm_server_client import running_client
from tests.support.standin_server import TEN_WORDS, StandIn
from workers.llm.meanings.token_numbers import TokenNumbers
from workers.llm.server import tokens
from workers.llm.server.endpoint import Endpoint
from workers.llm.server.tokens import Tokenizer


@asynccontextmanager
async def closing_endpoint(endpoint: Endpoint) -> AsyncIterator[Endpoint]:
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def test_the_window_is_the_one_that_the_server_lists(standin: StandIn) -> None:
    standin.control(max_model_len=777)
    async with running_client(standin.base_url) as server:
        windows = [server.window]
        await server.probe()
        windows.append(server.window)
        server.knowledge.note_refusal("stand-in", TokenNumbers(window=500), reply=64)
        windows.append(server.window)
    async with running_client(standin.base_url, context_tokens=300) as server:
        windows.append(server.window)
        await server.probe()
        windows.append(server.window)
    assert windows == [None, 777, 500, 300, 300]


async def test_tokens_are_counted_by_the_server(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", 60.0)
    async with running_client(standin.base_url, model="stand-in") as server:
        assert await server.tokenizer.count("stand-in", TEN_WORDS) == 10


async def test_a_server_that_does_not_count_is_left_alone_for_a_while(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", 60.0)
    now = 1_000.0
    settings = LlmSettings(base_url=standin.base_url)
    async with closing_endpoint(Endpoint(settings, standin.base_url)) as endpoint:
        counting = Tokenizer(endpoint, clock=lambda: now)
        standin.control(fail={"status": 503, "everywhere": True})
        assert await counting.count("stand-in", TEN_WORDS) is None
        standin.control(fail=None)
        assert await counting.count("stand-in", TEN_WORDS) is None
        now += tokens.COUNT_REST_S
        assert await counting.count("stand-in", TEN_WORDS) == 10
        assert await counting.count("no such model", TEN_WORDS) is None


@pytest.mark.parametrize(
    "answer",
    [
        http_response("404 Not Found", '{"detail":"Not Found"}'),
        http_response("200 OK", '{"tokens":[]}'),
        http_response("200 OK", '{"count":"many"}'),
        http_response("200 OK", "<html>It works!</html>", kind="text/html"),
        http_response("200 OK", "{"),
        b"",
    ],
)
async def test_what_other_servers_answer_is_no_count_and_no_error(answer: bytes) -> None:
    async with running_raw_server(answer) as url, running_client(url, model="m") as server:
        assert await server.tokenizer.count("m", TEN_WORDS) is None


async def test_a_count_that_takes_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        async with running_client(url, model="m") as server:
            assert await server.tokenizer.count("m", TEN_WORDS) is None
