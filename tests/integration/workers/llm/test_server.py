"""Replies stream, end with a result or with a sentence that a person can act on, and stop when
nobody wants them any more. Against the stand-in, in a process of its own.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import openai
import pytest
from pydantic import SecretStr

from common.errors import BadSetting, EarshotError, Permanent, Transient
from common.settings import LlmSettings
from common.transitions.answering import Message
from ops.demo.standin.ledger import Listing
from tests.support.standin_server import StandIn
from workers.llm import tokens
from workers.llm.errors import ContextTooLong, SystemRoleRefused
from workers.llm.reply import Finished
from workers.llm.server import LlmServer
from workers.llm.tokens import Tokenizer

HELLO: list[Message] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "hello"},
]
MAX_TOKENS = 64
TEN_WORDS = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with StandIn("--first-token-ms", "1", "--tokens-per-s", "2000") as standin:
        yield standin


@pytest.fixture
def standin(running: StandIn) -> Iterator[StandIn]:
    yield running
    running.reset()


@asynccontextmanager
async def connected(base_url: str, **settings: Any) -> AsyncIterator[LlmServer]:
    server = LlmServer(LlmSettings(base_url=base_url, **settings))
    try:
        yield server
    finally:
        await server.close()


async def ask(
    server: LlmServer, messages: list[Message] = HELLO, max_tokens: int = MAX_TOKENS
) -> tuple[str, Finished]:
    """The whole reply and how it ended."""
    parts = [part async for part in server.generate(messages, max_tokens)]
    finished = parts.pop()
    assert isinstance(finished, Finished)
    return "".join(part for part in parts if isinstance(part, str)), finished


async def failure(server: LlmServer, messages: list[Message] = HELLO) -> EarshotError:
    with pytest.raises(EarshotError) as raised:
        await ask(server, messages)
    return raised.value


def transient(error: EarshotError, *, opens_breaker: bool) -> str:
    assert isinstance(error, Transient), repr(error)
    assert error.opens_breaker is opens_breaker, str(error)
    return str(error)


async def until(standin: StandIn, condition: Callable[[Listing], object]) -> Listing:
    """The stand-in's requests, once `condition` holds for them."""
    return await asyncio.to_thread(standin.wait_for, condition)


@asynccontextmanager
async def listening(answer: bytes | Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """The base URL of a server that answers each request with these bytes, or by its head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(answer if isinstance(answer, bytes) else answer(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def response(status: str, body: str, *headers: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


# -- replies


async def test_pieces_then_the_result(standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS)
    async with connected(standin.base_url) as server:
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
    async with connected(standin.base_url, temperature=0.25) as server:
        await ask(server)
    (request,) = standin.requests()
    assert request.messages == HELLO
    assert request.params["max_tokens"] == MAX_TOKENS
    assert request.params["temperature"] == 0.25
    assert request.params["stream_options"] == {"include_usage": True}
    assert request.headers["x-stainless-retry-count"] == "0"


async def test_a_reply_cut_at_its_limit_says_so(standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS)
    async with connected(standin.base_url) as server:
        text, finished = await ask(server, max_tokens=3)
    assert text == "one two three"
    assert finished.finish_reason == "length"


async def test_an_empty_reply_is_a_reply(standin: StandIn) -> None:
    standin.control(empty_reply=True)
    async with connected(standin.base_url) as server:
        text, finished = await ask(server)
    assert (text, finished.finish_reason) == ("", "stop")


async def test_half_a_surrogate_pair_does_not_get_through() -> None:
    chunk = '{"choices":[{"delta":{"content":"so \\ud83d"},"finish_reason":"stop"}]}'
    stream = response("200 OK", f"data: {chunk}\n\ndata: [DONE]\n\n", kind="text/event-stream")
    async with (
        listening(stream) as url,
        connected(url, model="m") as server,
    ):
        text, finished = await ask(server)
    assert text == "so ?"
    assert finished == Finished("stop", "m")


# -- stopping


async def test_closing_stops_the_server(standin: StandIn) -> None:
    standin.control(reply=TEN_WORDS, tokens_per_s=1)
    async with connected(standin.base_url) as server:
        async with aclosing(server.generate(HELLO, MAX_TOKENS)) as pieces:
            assert await anext(pieces) == "one"
        listing = await until(standin, lambda listing: not listing.active)
    assert listing.requests[0].aborted
    assert listing.requests[0].tokens < 10


@pytest.mark.parametrize("fault", [{"hang": True}, {"hang_after_tokens": 2}])
async def test_cancelling_stops_the_server(standin: StandIn, fault: dict[str, Any]) -> None:
    standin.control(**fault)
    async with connected(standin.base_url) as server:
        asking = asyncio.create_task(ask(server))
        await until(standin, lambda listing: listing.active)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        listing = await until(standin, lambda listing: not listing.active)
    assert listing.requests[0].aborted


# -- which model


async def test_the_only_model_is_used_if_none_is_set(standin: StandIn) -> None:
    async with connected(standin.base_url) as server:
        assert server.model == ""
        await ask(server)
        assert server.model == "stand-in"


async def test_one_of_several_models_must_be_set(standin: StandIn) -> None:
    standin.control(models=["mistral", "llama"])
    async with connected(standin.base_url) as server:
        why = transient(await failure(server), opens_breaker=True)
    assert "mistral, llama" in why
    assert "EARSHOT_LLM__MODEL" in why


async def test_a_wrong_model_waits_with_the_servers_sentence_and_the_names(
    standin: StandIn,
) -> None:
    standin.control(models=["mistral", "llama"])
    async with connected(standin.base_url, model="gpt") as server:
        for error in (await failure(server), await _probe_failure(server)):
            why = transient(error, opens_breaker=True)
            assert "The model `gpt` does not exist" in why
            assert "mistral, llama" in why
            assert "EARSHOT_LLM__MODEL" in why


async def test_a_model_that_was_replaced_is_found_again(standin: StandIn) -> None:
    async with connected(standin.base_url) as server:
        await ask(server)
        standin.control(models=["newer"])
        transient(await failure(server), opens_breaker=True)
        await server.probe()
        _, finished = await ask(server)
    assert finished.model == "newer"


# -- probing


async def _probe_failure(server: LlmServer) -> EarshotError:
    with pytest.raises(EarshotError) as raised:
        await server.probe()
    return raised.value


async def test_a_usable_server_passes_the_probe_without_a_request(standin: StandIn) -> None:
    async with connected(standin.base_url) as server:
        await server.probe()
    async with connected(standin.base_url, model="stand-in") as server:
        await server.probe()
    assert standin.requests() == []


async def test_a_failing_server_does_not_pass_the_probe(standin: StandIn) -> None:
    standin.control(fail={"status": 503, "everywhere": True})
    async with connected(standin.base_url) as server:
        assert "503" in transient(await _probe_failure(server), opens_breaker=True)


async def test_a_model_that_answers_need_not_be_listed() -> None:
    chunk = '{"choices":[{"delta":{"content":"hi"},"finish_reason":"length"}]}'
    stream = response("200 OK", f"data: {chunk}\n\ndata: [DONE]\n\n", kind="text/event-stream")
    models = response("200 OK", '{"object":"list","data":[{"id":"m:latest","object":"model"}]}')
    nothing = response("404 Not Found", '{"detail":"Not Found"}')
    for listed in (models, nothing):

        def answer(head: bytes, listed: bytes = listed) -> bytes:
            return listed if b"/models" in head else stream

        async with listening(answer) as url, connected(url, model="m") as server:
            await server.probe()


async def test_a_server_without_a_list_needs_the_setting() -> None:
    nothing = response("404 Not Found", '{"detail":"Not Found"}')
    async with listening(nothing) as url, connected(url) as server:
        why = transient(await _probe_failure(server), opens_breaker=True)
    assert "EARSHOT_LLM__MODEL" in why
    assert "/v1" in why


# -- unreachable


async def test_connection_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        async with connected(url, model="m") as server:
            for error in (await failure(server), await _probe_failure(server)):
                why = transient(error, opens_breaker=True)
                assert url in why
                assert "EARSHOT_LLM__BASE_URL" in why


async def test_a_name_that_does_not_exist() -> None:
    async with connected("http://llm.invalid/v1", model="m") as server:
        assert "llm.invalid" in transient(await failure(server), opens_breaker=True)


async def test_no_connection_in_time() -> None:
    with socket.socket() as full:  # one waits in its queue, and nobody else gets in
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):
            url = f"http://127.0.0.1:{address[1]}/v1"
            async with connected(url, model="m", connect_timeout_s=0.05) as server:
                why = transient(await failure(server), opens_breaker=True)
    assert "no connection" in why


async def test_something_else_listens_there() -> None:
    page = response("200 OK", "<html>It works!</html>", kind="text/html")
    async with listening(page) as url, connected(url, model="m") as server:
        why = transient(await failure(server), opens_breaker=True)
    assert "text/html" in why
    assert "EARSHOT_LLM__BASE_URL" in why


async def test_a_server_that_hangs_up() -> None:
    async with listening(b"") as url, connected(url, model="m") as server:
        transient(await failure(server), opens_breaker=False)


# -- the key


async def test_the_key(standin: StandIn) -> None:
    standin.control(api_key="open-sesame")
    async with connected(standin.base_url, api_key=SecretStr("open-sesame")) as server:
        await server.probe()
        await ask(server)
    for key, phrase in (("", "asks for an API key"), ("open-barley", "refuses the API key")):
        async with connected(standin.base_url, api_key=SecretStr(key), model="stand-in") as server:
            for error in (await failure(server), await _probe_failure(server)):
                why = transient(error, opens_breaker=True)
                assert phrase in why
                assert "EARSHOT_LLM__API_KEY" in why
                assert "barley" not in why


async def test_the_key_is_not_repeated_from_the_servers_words() -> None:
    refusal = response("401 Unauthorized", '{"error":{"message":"bad key open-barley"}}')
    async with (
        listening(refusal) as url,
        connected(url, model="m", api_key=SecretStr("open-barley")) as server,
    ):
        assert "bad key ***" in transient(await failure(server), opens_breaker=True)


async def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-program")
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head.lower())
        return response("404 Not Found", "{}")

    async with listening(answer) as url, connected(url, model="m") as server:
        await failure(server)
    assert len(heads) == 2  # the request, and the names of the models
    assert not any(b"authorization" in head for head in heads)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_what_cannot_be_a_key(key: str) -> None:
    with pytest.raises(BadSetting, match="EARSHOT_LLM__API_KEY"):
        LlmServer(LlmSettings(api_key=SecretStr(key)))


def test_what_cannot_be_an_address() -> None:
    with pytest.raises(BadSetting, match="EARSHOT_LLM__BASE_URL"):
        LlmServer(LlmSettings(base_url="http://host:port/v1"))


# -- refusals


async def test_429_waits_as_long_as_the_server_wants(standin: StandIn) -> None:
    standin.control(fail={"status": 429}, retry_after_s=7)
    async with connected(standin.base_url) as server:
        error = await failure(server)
    transient(error, opens_breaker=False)
    assert isinstance(error, Transient)
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_that_fails(standin: StandIn, status: int) -> None:
    standin.control(fail={"status": status, "message": "out of steam"})
    async with connected(standin.base_url) as server:
        why = transient(await failure(server), opens_breaker=True)
    assert str(status) in why
    assert "out of steam" in why


@pytest.mark.parametrize("status", [400, 422])
async def test_a_request_that_cannot_succeed(standin: StandIn, status: int) -> None:
    standin.control(fail={"status": status, "message": "no such sampling"})
    async with connected(standin.base_url) as server:
        error = await failure(server)
    assert type(error) is Permanent
    assert "no such sampling" in str(error)


async def test_a_prompt_above_the_window(standin: StandIn) -> None:
    standin.control(max_model_len=100)
    async with connected(standin.base_url) as server:
        error = await failure(server, [{"role": "user", "content": "word " * 200}])
    assert isinstance(error, ContextTooLong)
    assert error.window == 100
    assert error.prompt_tokens is not None
    assert error.prompt_tokens > 200


async def test_a_reply_above_the_window_is_a_wrong_setting(standin: StandIn) -> None:
    standin.control(max_model_len=32)
    async with connected(standin.base_url) as server:
        why = transient(await failure(server), opens_breaker=True)
    assert "EARSHOT_LLM__MAX_TOKENS" in why


async def test_a_template_without_system_role(standin: StandIn) -> None:
    standin.control(reject_system_role=True)
    async with connected(standin.base_url) as server:
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
    "a wrong path": ("404 Not Found", '{"detail":"Not Found"}', Transient),
    "a wrong method": ("405 Method Not Allowed", "", Transient),
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_other_servers_words(name: str) -> None:
    status, body, expected = FOREIGN[name]
    async with (
        listening(response(status, body)) as url,
        connected(url, model="m") as server,
    ):
        error = await failure(server)
    assert type(error) is expected
    assert "\n" not in str(error)
    if isinstance(error, Transient):
        assert error.opens_breaker
    if name == "OpenAI, too long":
        assert isinstance(error, ContextTooLong)
        assert (error.window, error.prompt_tokens) == (4097, 5000)


async def test_retry_after_may_be_a_date() -> None:
    for value, expected in (
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
    ):
        refusal = response("503 Service Unavailable", "{}", f"retry-after: {value}")
        async with (
            listening(refusal) as url,
            connected(url, model="m") as server,
        ):
            error = await failure(server)
        assert isinstance(error, Transient)
        assert error.retry_after == expected


# -- streams that break


@pytest.mark.parametrize(
    ("fault", "phrase"),
    [
        ({"error_after_tokens": 2}, "EngineCore"),
        ({"error_after_tokens": 0}, "EngineCore"),
        ({"drop_after_tokens": 2}, "closed the connection"),
        ({"end_without_finish": True}, "without a finish reason"),
        ({"finish_reason": "abort"}, "'abort'"),
    ],
)
async def test_a_stream_that_breaks_is_a_failed_attempt(
    standin: StandIn, fault: dict[str, Any], phrase: str
) -> None:
    standin.control(**fault)
    async with connected(standin.base_url) as server:
        assert phrase in transient(await failure(server), opens_breaker=False)


async def test_a_content_filter_is_final(standin: StandIn) -> None:
    standin.control(content_filter=True)
    async with connected(standin.base_url) as server:
        assert isinstance(await failure(server), Permanent)


async def test_a_server_killed_in_mid_stream() -> None:
    with StandIn("--tokens-per-s", "1") as standin:
        standin.control(reply=TEN_WORDS)
        async with connected(standin.base_url) as server:
            pieces = server.generate(HELLO, MAX_TOKENS)
            assert await anext(pieces) == "one"
            standin.kill()
            with pytest.raises(Transient) as raised:
                _ = [piece async for piece in pieces]
            transient(raised.value, opens_breaker=False)
            transient(await failure(server), opens_breaker=True)  # it is gone


async def test_a_stream_of_something_else() -> None:
    for data in ("{not json", "5", '{"choices":[{"delta":null}]}', '{"object":"error"}'):
        stream = response("200 OK", f"data: {data}\n\n", kind="text/event-stream")
        async with (
            listening(stream) as url,
            connected(url, model="m") as server,
        ):
            transient(await failure(server), opens_breaker=False)


async def test_an_error_in_the_stream_counts_by_its_code() -> None:
    event = '{"error":{"message":"the prompt is too long","code":400,"type":"BadRequestError"}}'
    stream = response("200 OK", f"data: {event}\n\n", kind="text/event-stream")
    async with listening(stream) as url, connected(url, model="m") as server:
        assert isinstance(await failure(server), ContextTooLong)


# -- deadlines


async def test_no_first_token_in_time(standin: StandIn) -> None:
    standin.control(hang=True)
    async with connected(standin.base_url, first_token_timeout_s=0.05) as server:
        why = transient(await failure(server), opens_breaker=False)
        await until(standin, lambda listing: not listing.active)
    assert "EARSHOT_LLM__FIRST_TOKEN_TIMEOUT_S" in why


async def test_no_further_token_in_time(standin: StandIn) -> None:
    standin.control(hang_after_tokens=2)
    async with connected(standin.base_url, token_timeout_s=0.3) as server:
        why = transient(await failure(server), opens_breaker=False)
        listing = await until(standin, lambda listing: not listing.active)
    assert "EARSHOT_LLM__TOKEN_TIMEOUT_S" in why
    assert listing.requests[0].aborted


async def test_the_role_alone_is_no_token() -> None:
    """Some servers send it as soon as they have the request: the first deadline goes on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        chunk = '{"choices":[{"delta":{"role":"assistant","content":""}}]}'
        writer.write(response("200 OK", f"data: {chunk}\n\n", kind="text/event-stream"))
        await writer.drain()
        await reader.read()  # until the client has had enough
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        async with connected(
            url, model="m", first_token_timeout_s=0.3, token_timeout_s=60
        ) as server:
            assert "FIRST_TOKEN" in transient(await failure(server), opens_breaker=False)


async def test_three_timeouts_in_a_row_are_the_servers_state(standin: StandIn) -> None:
    async with connected(standin.base_url, token_timeout_s=0.2) as server:
        standin.control(hang_after_tokens=1)
        for _ in range(2):
            transient(await failure(server), opens_breaker=False)
        standin.control(hang_after_tokens=None, empty_reply=True)
        await ask(server)
        standin.control(hang_after_tokens=1, empty_reply=False)
        for opens_breaker in (False, False, True):
            transient(await failure(server), opens_breaker=opens_breaker)


# -- the window, and counting what goes into it


async def test_the_window_is_the_one_that_the_server_lists(standin: StandIn) -> None:
    standin.control(max_model_len=777)
    async with connected(standin.base_url) as server:
        windows = [server.window]
        await server.probe()
        windows.append(server.window)
        server.learn_window(500)
        windows.append(server.window)
    async with connected(standin.base_url, context_tokens=300) as server:
        windows.append(server.window)
        await server.probe()
        windows.append(server.window)
    assert windows == [None, 777, 500, 300, 300]


async def test_tokens_are_counted_by_the_server(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", 60.0)
    async with connected(standin.base_url, model="stand-in") as server:
        assert await server.tokenizer.count("stand-in", TEN_WORDS) == 10


async def test_a_server_that_does_not_count_is_left_alone_for_a_while(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", 60.0)
    now = 1_000.0
    async with openai.AsyncOpenAI(api_key="none", base_url=standin.base_url, max_retries=0) as sdk:
        counting = Tokenizer(sdk, {}, clock=lambda: now)
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
        response("404 Not Found", '{"detail":"Not Found"}'),
        response("200 OK", '{"tokens":[]}'),
        response("200 OK", '{"count":"many"}'),
        response("200 OK", "<html>It works!</html>", kind="text/html"),
        response("200 OK", "{"),
        b"",
    ],
)
async def test_what_other_servers_answer_is_no_count_and_no_error(answer: bytes) -> None:
    async with listening(answer) as url, connected(url, model="m") as server:
        assert await server.tokenizer.count("m", TEN_WORDS) is None


async def test_a_count_that_takes_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "COUNT_TIMEOUT_S", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        async with connected(url, model="m") as server:
            assert await server.tokenizer.count("m", TEN_WORDS) is None
