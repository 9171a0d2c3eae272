"""A server that cannot be reached, or refuses the key, is waited for with a sentence that names the
setting; the key is never shown."""

import socket

import pytest
from pydantic import SecretStr

from common.errors import BadSetting
from common.settings import LlmSettings
from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.integration.workers.llm.server.llm_server_client import (
    ask,
    failure,
    probe_failure,
    running_client,
    transient_message,
)
from tests.support.standin_server import StandIn
from workers.llm.server.llm_server import LlmServer

# -- unreachable


async def test_connection_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with running_client(url, model="m") as server:
            for error in (await failure(server), await probe_failure(server)):
                why = transient_message(error, opens_breaker=True)
                assert url in why
                assert "EARSHOT_LLM__BASE_URL" in why


async def test_a_name_that_does_not_exist() -> None:
    async with running_client("http://llm.invalid/v1", model="m") as server:
        assert "llm.invalid" in transient_message(await failure(server), opens_breaker=True)


async def test_no_connection_in_time() -> None:
    with socket.socket() as full:  # one waits in its queue, and nobody else gets in
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):
            url = f"http://127.0.0.1:{address[1]}/v1"
            async with running_client(url, model="m", connect_timeout_s=0.05) as server:
                why = transient_message(await failure(server), opens_breaker=True)
    assert "no connection" in why


async def test_something_else_listens_there() -> None:
    page = http_response("200 OK", "<html>It works!</html>", kind="text/html")
    async with running_raw_server(page) as url, running_client(url, model="m") as server:
        why = transient_message(await failure(server), opens_breaker=True)
    assert "text/html" in why
    assert "EARSHOT_LLM__BASE_URL" in why


async def test_a_server_that_hangs_up() -> None:
    async with running_raw_server(b"") as url, running_client(url, model="m") as server:
        transient_message(await failure(server), opens_breaker=False)


# -- the key


async def test_the_key(standin: StandIn) -> None:
    standin.control(api_key="open-sesame")
    async with running_client(standin.base_url, api_key=SecretStr("open-sesame")) as server:
        await server.probe()
        await ask(server)
    for key, phrase in (("", "asks for an API key"), ("open-barley", "refuses the API key")):
        async with running_client(
            standin.base_url, api_key=SecretStr(key), model="stand-in"
        ) as server:
            for error in (await failure(server), await probe_failure(server)):
                why = transient_message(error, opens_breaker=True)
                assert phrase in why
                assert "EARSHOT_LLM__API_KEY" in why
                assert "barley" not in why


async def test_the_key_is_not_repeated_from_the_servers_words() -> None:
    refusal = http_response("401 Unauthorized", '{"error":{"message":"bad key open-barley"}}')
    async with (
        running_raw_server(refusal) as url,
        running_client(url, model="m", api_key=SecretStr("open-barley")) as server,
    ):
        assert "bad key ***" in transient_message(await failure(server), opens_breaker=True)


async def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-program")
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head.lower())
        return http_response("404 Not Found", "{}")

    async with running_raw_server(answer) as url, running_client(url, model="m") as server:
        await failure(server)
    asked = {head.split()[1].rpartition(b"/")[2] for head in heads}
    assert asked == {b"completions", b"models"}  # the request, and the names of the models
    assert not any(b"authorization" in head for head in heads)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_what_cannot_be_a_key(key: str) -> None:
    with pytest.raises(BadSetting, match="EARSHOT_LLM__API_KEY"):
        LlmServer(LlmSettings(api_key=SecretStr(key)))


def test_what_cannot_be_an_address() -> None:
    with pytest.raises(BadSetting, match="EARSHOT_LLM__BASE_URL"):
        LlmServer(LlmSettings(base_url="http://host:port/v1"))
