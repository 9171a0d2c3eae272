"""Nobody gets past the token by the form of a request: its Host, its target, its method. A Host
that is no host, and a target that is no plain path, are refused in one sentence."""

import json
import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.integration.dashboard.guarded_dashboard import SECRET, TOKEN
from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer

NO_HOSTS: Final = (
    "x/static/",
    "x/login",
    "127.0.0.1/static/",
    "127.0.0.1?/static/",
    "127.0.0.1#/static/",
    "localhost\\static\\",
    "user@localhost",
    "user:word@localhost:8484",
    "localhost:port",
    "localhost:999999",
    "localhost:",
    "local host",
    "[::1",
    "::1",
    "[127.0.0.1]",
    "[::1]x",
    "a..b",
    "-a",
    ".",
    "",
    "b\xfccher",
    "x" * 300,
)
HOSTS: Final = (
    "localhost",
    "127.0.0.1:8484",
    "[::1]",
    "[::1]:1",
    "my_host",
    "Wall.Example.",
    "a-b.c",
)

TARGETS: Final = (
    "/static/../api/overview",
    "/static/%2e%2e/api/overview",
    "/static/..%2fapi/overview",
    "/static%2f../api/overview",
    "/static%2F%2e%2e%2Fapi%2Foverview",
    "//static/../api/overview",
    "//api/overview",
    "/static//api/overview",
    "/api//overview",
    "/api/./overview",
    "/api\\overview",
    "/static/%5c..%5capi/overview",
    "/api/overview%00",
    "/api/overview%0a",
    "http://x/static/",
    "http://localhost/api/overview",
    "//x/static/",
    "*",
)


@pytest.fixture(scope="module")
def guarded(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardProcess]:
    variables = {"EARSHOT_DASHBOARD__TOKEN": TOKEN, "EARSHOT_DASHBOARD__HOST": "127.0.0.1"}
    with DashboardProcess(tmp_path_factory.mktemp("guarded"), server.url, variables) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def unguarded(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardProcess]:
    with DashboardProcess(tmp_path_factory.mktemp("unguarded"), server.url, {}) as dashboard:
        yield dashboard


def ask(
    dashboard: DashboardProcess,
    target: str,
    *headers: str,
    method: str = "GET",
    version: str = "1.1",
) -> tuple[int, str]:
    """Send a request byte by byte as it is given; return the status and what came after it."""
    address = urlsplit(dashboard.url)
    lines = [f"{method} {target} HTTP/{version}", *headers, "Connection: close", "", ""]
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body.decode()


def refused_with_a_sentence(status: int, body: str) -> bool:
    if status != 400:
        return False
    error: str = json.loads(body)["error"] if body.startswith("{") else ""
    return bool(error) and "\n" not in error


@pytest.mark.parametrize("host", NO_HOSTS)
@pytest.mark.parametrize("target", ["/api/overview", "/", "/login", "/static/main.js"])
def test_a_host_that_is_none_is_refused(
    host: str, target: str, guarded: DashboardProcess, unguarded: DashboardProcess
) -> None:
    for dashboard in (guarded, unguarded):
        status, body = ask(dashboard, target, f"Host: {host}")
        assert SECRET not in body
        assert refused_with_a_sentence(status, body), (status, body)


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_that_is_one_may_ask_with_the_token(
    host: str, guarded: DashboardProcess
) -> None:
    bearer = f"Authorization: Bearer {TOKEN}"
    assert ask(guarded, "/api/overview", f"Host: {host}")[0] == 401
    status, body = ask(guarded, "/api/overview", f"Host: {host}", bearer)
    assert (status, SECRET in body) == (200, True)


def test_a_request_without_a_host_is_asked_for_the_token(
    guarded: DashboardProcess, unguarded: DashboardProcess
) -> None:
    assert ask(guarded, "/api/overview", version="1.0")[0] == 401
    assert ask(unguarded, "/api/overview", version="1.0")[0] == 403
    for origin in ("null", "http://", ""):  # which have no host either
        headers = (f"Authorization: Bearer {TOKEN}", f"Origin: {origin}")
        status, body = ask(guarded, "/api/dead/0/1-1/drop", *headers, method="POST", version="1.0")
        assert (status, "another origin" in body) == (403, True)


@pytest.mark.parametrize("two", [("a", "b"), ("localhost", "x/static/"), ("x/static/", "a")])
def test_two_hosts_are_none(two: tuple[str, str], guarded: DashboardProcess) -> None:
    status, body = ask(guarded, "/api/overview", *(f"Host: {host}" for host in two))
    assert status == 400
    assert SECRET not in body


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_a_target_that_is_no_plain_path_is_refused(
    target: str, method: str, guarded: DashboardProcess, unguarded: DashboardProcess
) -> None:
    for dashboard in (guarded, unguarded):
        status, body = ask(dashboard, target, "Host: localhost", method=method)
        assert SECRET not in body
        assert status == 400, (status, body)
        assert method == "HEAD" or refused_with_a_sentence(status, body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    "path", ["/api/overview", "/events", "/api/dead", "/staticx", "/static", "/loginx", "/login/"]
)
def test_no_method_gets_past_the_token(method: str, path: str, guarded: DashboardProcess) -> None:
    status, body = ask(guarded, path, "Host: localhost", method=method)
    assert status == 401, body
    assert SECRET not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0"]
)
def test_a_name_that_was_rebound_to_this_machine_reads_and_changes_nothing(
    host: str, unguarded: DashboardProcess
) -> None:
    """The browser believes that it speaks with the page's own server, and says so."""
    port = urlsplit(unguarded.url).port
    headers = (f"Host: {host}:{port}", f"Origin: http://{host}:{port}")
    same = "Sec-Fetch-Site: same-origin"
    for path, method in (("/api/overview", "GET"), ("/", "GET"), ("/api/dead/0/1-1/drop", "POST")):
        status, body = ask(unguarded, path, *headers, same, method=method)
        assert (status, SECRET in body) == (403, False), (path, status)
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    assert ask(unguarded, "/api/speak", *headers, *upgrade, key)[0] == 403


@pytest.mark.parametrize("origin", ["http://localhost:1", "https://other.example", "null", "x"])
def test_another_port_of_this_machine_is_another_origin(
    origin: str, unguarded: DashboardProcess
) -> None:
    host = f"Host: {urlsplit(unguarded.url).netloc}"
    for path in ("/api/dead/0/1-1/drop", "/api/recordings?name=a", "/login"):
        status, body = ask(unguarded, path, host, f"Origin: {origin}", method="POST")
        assert (status, "another origin" in body) == (403, True)
