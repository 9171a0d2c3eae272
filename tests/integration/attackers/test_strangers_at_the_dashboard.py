"""What somebody gets who reaches the dashboard over the network and has no token, tried on a real
one: a few guesses a second, however many addresses guess, and no file; and in the pages for
monitoring nothing that was said."""

import asyncio
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from common.keys import Shard
from ops.dashboard.access.guess_brake import EVERYBODY_PAUSE_S
from ops.local.machine import find_free_port
from tests.integration.dashboard.guarded_dashboard import BEARER, TOKEN
from tests.support.command_line import CommandProcesses
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

ADDRESSES: Final = 150
GUESSES: Final = 300
FEW: Final = 8
"""Guesses that need not wait, of all addresses together, and some more."""

OPEN_FILES: Final = 128
SPOKEN: Final = "meet me behind the old mill"
SESSION: Final = "kitchen-17"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        yield server


@pytest.fixture
def board(server: RedisServer, tmp_path: Path) -> Iterator[DashboardProcess]:
    variables = {"EARSHOT_DASHBOARD__TOKEN": TOKEN, "EARSHOT_DASHBOARD__HOST": "127.0.0.1"}
    with DashboardProcess(tmp_path, server.url, variables) as board:
        yield board


async def test_many_addresses_together_guess_slowly(board: DashboardProcess) -> None:
    """Each address of 127.0.0.0/8 is this machine's, so one machine can be many visitors."""

    async def guess(number: int) -> int:
        address = f"127.0.{1 + number % ADDRESSES // 100}.{1 + number % 100}"
        way = httpx.AsyncHTTPTransport(local_address=address, verify=False)
        async with httpx.AsyncClient(transport=way, base_url=board.url, timeout=120) as http:
            answer = await http.get("/api/overview", headers={"Authorization": f"Bearer {number}"})
            return answer.status_code

    anew = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=board.url, trust_env=False, timeout=120, limits=anew
    ) as person:
        assert (await person.post("/login", data={"token": TOKEN})).status_code == 303
        began = time.monotonic()
        guesses = [asyncio.create_task(guess(number)) for number in range(GUESSES)]
        assert (await person.get("/api/overview")).status_code == 200
        answers = await asyncio.gather(*guesses)
        took_s = time.monotonic() - began
        assert set(answers) == {401, 429}, "a refused one was not looked at"
        assert answers.count(401) <= took_s / EVERYBODY_PAUSE_S + FEW
        assert (await person.get("/api/overview")).status_code == 200
        assert (await person.get("/api/overview", headers=BEARER)).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/etc/passwd",
        "/static/%00",
        "/static/.",
        "/static/vendor/..",
        "/../../../../etc/passwd",
        "/etc/passwd",
        "/app.py",
    ],
)
@pytest.mark.parametrize("headers", [{}, BEARER], ids=["without the token", "with it"])
def test_no_file_of_the_host_is_served(
    headers: dict[str, str], target: str, board: DashboardProcess
) -> None:
    address = urlsplit(board.url)
    lines = [f"GET {target} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    status = int(answer.split(b" ", 2)[1])
    assert status in (400, 401, 404), answer[:200]
    assert b"root:" not in answer
    assert b"Starlette" not in answer


def test_many_connections_hold_up_the_dashboard_and_no_conversation(
    board: DashboardProcess, server: RedisServer
) -> None:
    """As long as they are held; a proxy in front of the dashboard can limit them."""
    assert board._process is not None
    resource.prlimit(board._process.pid, resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    address = urlsplit(board.url)
    with ExitStack() as held:
        for _ in range(OPEN_FILES):
            held.enter_context(
                socket.create_connection((address.hostname or "", address.port or 0), 30)
            )
        until_sync(lambda: "out of system resource" in board.log or "Too many open" in board.log)
        with pytest.raises(httpx.TimeoutException):
            httpx.get(board.url, trust_env=False, timeout=3)
        with FakePipeline(server) as pipeline:
            pipeline.say("kitchen", "do you hear me")
            pipeline.answer("kitchen", "yes")

    def is_served() -> bool:
        try:
            return httpx.get(board.url, trust_env=False, timeout=3).status_code == 401
        except httpx.TimeoutException:
            return False

    until_sync(is_served)
    with httpx.Client(base_url=board.url, trust_env=False, headers=BEARER, timeout=60) as http:
        until_sync(lambda: "do you hear me" in http.get("/api/overview").text)


def test_the_pages_for_monitoring_tell_nothing_that_was_said(
    server: RedisServer, tmp_path: Path
) -> None:
    """Everybody who reaches them may read them: there is no password."""
    port = find_free_port()
    with StandIn() as llm, ExitStack() as stack:
        llm.control(reply="behind the mill it is cold")
        processes = CommandProcesses(
            tmp_path,
            EARSHOT_REDIS__URL=server.url,
            EARSHOT_LLM__BASE_URL=llm.base_url,
            EARSHOT_METRICS__PORT=str(port),
            EARSHOT_METRICS__HOST="127.0.0.1",
        )
        stack.callback(processes.close)
        processes.start("llm")
        status, _, err = processes.run(
            "say", SPOKEN, "--session", SESSION, EARSHOT_METRICS__PORT="0"
        )
        assert status == 0, err
        with server.sync_client() as client:
            until_sync(lambda: "it is cold" in str(client.xrange(Shard(0).results)))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
            told = ""
            for path in ("/metrics", "/healthz", "/readyz", "/", "/metrics?name[]=x", "/debug"):
                for method in ("GET", "POST", "PUT", "DELETE"):
                    told += http.request(method, path, content=b"x").text
    assert "earshot_" in told
    for word in ("mill", "cold", SESSION):
        assert word not in told
