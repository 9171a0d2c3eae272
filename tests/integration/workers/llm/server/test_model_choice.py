"""The model is the one that is set, or the only one; the probe says whether the server is
usable."""

import pytest

from tests.integration.workers.llm.raw_server import http_response, running_raw_server
from tests.integration.workers.llm.server.llm_server_client import (
    ask,
    failure,
    probe_failure,
    running_client,
    transient_message,
)
from tests.support.standin_server import StandIn

# -- which model


async def test_the_only_model_is_used_if_none_is_set(standin: StandIn) -> None:
    async with running_client(standin.base_url) as server:
        assert server.model == ""
        await ask(server)
        assert server.model == "stand-in"


async def test_one_of_several_models_must_be_set(standin: StandIn) -> None:
    standin.control(models=["mistral", "llama"])
    async with running_client(standin.base_url) as server:
        why = transient_message(await failure(server), opens_breaker=True)
    assert "mistral, llama" in why
    assert "EARSHOT_LLM__MODEL" in why


async def test_a_wrong_model_waits_with_the_servers_sentence_and_the_names(
    standin: StandIn,
) -> None:
    standin.control(models=["mistral", "llama"])
    async with running_client(standin.base_url, model="gpt") as server:
        for error in (await failure(server), await probe_failure(server)):
            why = transient_message(error, opens_breaker=True)
            assert "The model `gpt` does not exist" in why
            assert "mistral, llama" in why
            assert "EARSHOT_LLM__MODEL" in why


async def test_a_model_that_was_replaced_is_found_again(standin: StandIn) -> None:
    async with running_client(standin.base_url) as server:
        await ask(server)
        standin.control(models=["newer"])
        transient_message(await failure(server), opens_breaker=True)
        await server.probe()
        _, finished = await ask(server)
    assert finished.model == "newer"


# -- probing


async def test_a_usable_server_passes_the_probe_without_a_request(standin: StandIn) -> None:
    async with running_client(standin.base_url) as server:
        await server.probe()
    async with running_client(standin.base_url, model="stand-in") as server:
        await server.probe()
    assert standin.requests() == []


async def test_a_failing_server_does_not_pass_the_probe(standin: StandIn) -> None:
    standin.control(fail={"status": 503, "everywhere": True})
    async with running_client(standin.base_url) as server:
        assert "503" in transient_message(await probe_failure(server), opens_breaker=False)


@pytest.mark.parametrize("status", ["403 Forbidden", "405 Not Allowed", "500 Bad", "503 Away"])
async def test_a_list_of_models_that_fails_makes_no_server_unusable(status: str) -> None:
    """Where the settings name the model: only the reply tells."""
    chunk = '{"choices":[{"delta":{"content":"hi"},"finish_reason":"length"}]}'
    stream = http_response("200 OK", f"data: {chunk}\n\ndata: [DONE]\n\n", kind="text/event-stream")

    def answer(head: bytes) -> bytes:
        return http_response(status, "{}") if head.startswith(b"GET") else stream

    async with running_raw_server(answer) as url, running_client(url, model="m") as server:
        await server.ask_smallest()


async def test_a_model_that_answers_need_not_be_listed() -> None:
    chunk = '{"choices":[{"delta":{"content":"hi"},"finish_reason":"length"}]}'
    stream = http_response("200 OK", f"data: {chunk}\n\ndata: [DONE]\n\n", kind="text/event-stream")
    models = http_response(
        "200 OK", '{"object":"list","data":[{"id":"m:latest","object":"model"}]}'
    )
    nothing = http_response("404 Not Found", '{"detail":"Not Found"}')
    for listed in (models, nothing):

        def answer(head: bytes, listed: bytes = listed) -> bytes:
            return listed if b"/models" in head else stream

        async with running_raw_server(answer) as url, running_client(url, model="m") as server:
            await server.probe()


async def test_a_server_without_a_list_needs_the_setting() -> None:
    nothing = http_response("404 Not Found", '{"detail":"Not Found"}')
    async with running_raw_server(nothing) as url, running_client(url) as server:
        why = transient_message(await probe_failure(server), opens_breaker=True)
    assert "EARSHOT_LLM__MODEL" in why
    assert "/v1" in why
