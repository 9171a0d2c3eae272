"""A server on this machine is reached past any proxy; a certificate that nobody trusts is told as
that, with what to set."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from tests.integration.workers.llm.raw_server import http_response
from tests.integration.workers.llm.server.llm_server_client import (
    ask,
    failure,
    probe_failure,
    running_client,
    transient_message,
)
from tests.support.standin_server import StandIn

NOBODY = "http://127.0.0.1:9"
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
REPLY = 'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "NO_PROXY", "no_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def running_tls_server(authority: trustme.CA, name: str) -> AsyncIterator[int]:
    """The port of a server whose certificate is for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http_response("200 OK", REPLY, kind="text/event-stream"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("value", [NOBODY, "foo://nowhere:1"])
async def test_this_machine_needs_no_proxy(
    variable: str, value: str, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    async with running_client(standin.base_url, model="stand-in") as server:
        await server.probe()
        await ask(server)


async def test_a_proxy_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    async with running_client("http://llm.invalid/v1", model="m") as server:
        for error in (await failure(server), await probe_failure(server)):
            why = transient_message(error, opens_breaker=True)
            assert f"HTTP_PROXY={NOBODY}" in why
            assert "llm.invalid" in why


async def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with running_tls_server(authority, "localhost") as port:
        url = f"https://localhost:{port}/v1"
        async with running_client(url, model="m") as server:
            for error in (await failure(server), await probe_failure(server)):
                why = transient_message(error, opens_breaker=True)
                assert "is not trusted" in why
                assert "EARSHOT_LLM__CA_FILE" in why
        async with running_client(url, model="m", ca_file=str(file)) as server:
            assert (await ask(server))[0] == "hi"


async def test_the_variable_of_openssl_works_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with (
        running_tls_server(authority, "localhost") as port,
        running_client(f"https://localhost:{port}/v1", model="m") as server,
    ):
        assert (await ask(server))[0] == "hi"


async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with running_tls_server(authority, "elsewhere.example") as port:
        url = f"https://localhost:{port}/v1"
        async with running_client(url, model="m", ca_file=str(file)) as server:
            why = transient_message(await failure(server), opens_breaker=True)
    assert "write the name of its certificate in EARSHOT_LLM__BASE_URL" in why


async def test_tls_where_there_is_none(standin: StandIn) -> None:
    url = standin.base_url.replace("http:", "https:")
    async with running_client(url, model="m") as server:
        why = transient_message(await failure(server), opens_breaker=True)
    assert "write http:// in EARSHOT_LLM__BASE_URL" in why
