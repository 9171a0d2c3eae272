"""Each refusal of an LLM server becomes the right error: try again, wait, or give up."""

import pytest

from common.errors import Busy, Permanent, Transient
from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.integration.workers.llm.server.llm_server_client import (
    HELLO,
    ask,
    failure,
    running_client,
    transient_message,
)
from tests.support.standin_server import StandIn
from workers.llm.meanings.errors import ContextTooLong, ReplyTooLong, SystemRoleRefused, WrongPath


async def test_429_waits_as_long_as_the_server_wants(standin: StandIn) -> None:
    standin.control(fail={"status": 429}, retry_after_s=7)
    async with running_client(standin.base_url) as server:
        error = await failure(server)
    assert isinstance(error, Busy)
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_that_fails(standin: StandIn, status: int) -> None:
    standin.control(fail={"status": status, "message": "out of steam"})
    async with running_client(standin.base_url) as server:
        why = transient_message(await failure(server), opens_breaker=False)
    assert str(status) in why
    assert "out of steam" in why


@pytest.mark.parametrize("status", [400, 422])
async def test_a_request_that_cannot_succeed(standin: StandIn, status: int) -> None:
    standin.control(fail={"status": status, "message": "no such sampling"})
    async with running_client(standin.base_url) as server:
        error = await failure(server)
    assert type(error) is Permanent
    assert "no such sampling" in str(error)


async def test_a_prompt_above_the_window(standin: StandIn) -> None:
    standin.control(max_model_len=100)
    async with running_client(standin.base_url) as server:
        error = await failure(server, [{"role": "user", "content": "word " * 200}])
    assert isinstance(error, ContextTooLong)
    assert error.numbers.window == 100
    assert error.numbers.prompt is not None
    assert error.numbers.prompt > 200


async def test_a_reply_above_the_window_names_the_limit_and_the_setting(standin: StandIn) -> None:
    standin.control(max_model_len=32)
    async with running_client(standin.base_url) as server:
        error = await failure(server)
    assert isinstance(error, ReplyTooLong)
    assert 32 in error.numbers
    assert "EARSHOT_LLM__MAX_TOKENS" in str(error)


async def test_a_template_without_system_role(standin: StandIn) -> None:
    standin.control(reject_system_role=True)
    async with running_client(standin.base_url) as server:
        assert isinstance(await failure(server), SystemRoleRefused)
        await ask(server, HELLO[1:])


FOREIGN = {
    "OpenAI, too long": (
        "400 Bad Request",
        '{"error":{"message":"This model\'s maximum context length is 4097 tokens. However, your'
        ' messages resulted in 5000 tokens.","code":"context_length_exceeded"}}',
        ContextTooLong,
    ),
    "llama.cpp, too long": (
        "400 Bad Request",
        '{"error":{"code":400,"message":"the request exceeds the available context size",'
        '"type":"exceed_context_size_error"}}',
        ContextTooLong,
    ),
    "Gemma's template": (
        "400 Bad Request",
        '{"error":{"message":"System role not supported","code":400}}',
        SystemRoleRefused,
    ),
    "an empty purse": (
        "429 Too Many Requests",
        '{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}',
        Transient,
    ),
    "an account": ("402 Payment Required", '{"error":{"message":"no credit"}}', Transient),
    "a proxy": ("502 Bad Gateway", "<html>\n<h1>Bad Gateway</h1></html>", Transient),
    "a wrong path": ("404 Not Found", '{"detail":"Not Found"}', WrongPath),
    "a wrong method": ("405 Method Not Allowed", "", WrongPath),
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_other_servers_words(name: str) -> None:
    status, body, expected = FOREIGN[name]
    async with (
        running_raw_server(http_response(status, body)) as url,
        running_client(url, model="m") as server,
    ):
        error = await failure(server)
    assert type(error) is expected
    assert "\n" not in str(error)
    if isinstance(error, Transient):
        assert error.opens_breaker == (name != "a proxy"), "5xx may be about this request only"
    if name == "OpenAI, too long":
        assert isinstance(error, ContextTooLong)
        assert (error.numbers.window, error.numbers.prompt) == (4097, 5000)


async def test_retry_after_may_be_a_date() -> None:
    for value, expected in (
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
    ):
        refusal = http_response("503 Service Unavailable", "{}", f"retry-after: {value}")
        async with (
            running_raw_server(refusal) as url,
            running_client(url, model="m") as server,
        ):
            error = await failure(server)
        assert isinstance(error, Transient)
        assert error.retry_after == expected
