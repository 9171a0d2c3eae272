"""Every role of docker-compose.yml starts as a local process with its service's command and
environment, does its work on Redis, and ends when it is asked to.

Changed for this machine are only the places that a container brings along: where Redis is, the
folders of the volumes, the bundled speech model for one to be fetched, a recording for /dev/snd.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest
from redis import Redis
from redis.exceptions import RedisError

from common.settings import PREFIX
from ops.demo.recording_file import AUDIO
from tests.integration.deploy.compose_processes import ComposeProcesses
from tests.support.compose_file import environment, mounts, services
from tests.support.redis_server import RedisServer
from tests.support.standin_server import StandIn
from tests.support.waiting import until_sync

DEADLINE_S: Final = 60.0
ENV: Final = {"EARSHOT_STT__MODEL": "demo", "EARSHOT_LISTEN__SESSION": "kitchen"}


@contextmanager
def _role(
    role: str, redis: RedisServer, folder: Path, *more: str
) -> Iterator[subprocess.Popen[str]]:
    service = services(ENV)[role]
    variables = environment(service, ENV)
    variables["EARSHOT_REDIS__URL"] = redis.url
    for inside, native in mounts(service, folder):
        for name, value in variables.items():
            if value.startswith(inside):
                variables[name] = value.replace(inside, native, 1)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "ops.cli", *service["command"], *more],
        env=clean | variables,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    def seen() -> bool:
        if process.poll() is not None:
            pytest.fail(f"it ended ({process.returncode}): {process.communicate()[1]}")
        return condition()

    until_sync(seen)


@pytest.mark.parametrize("role", ["stt", "llm"])
def test_a_worker_reports_for_work_and_leaves(
    role: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    with redis_server.sync_client() as client, _role(role, redis_server, tmp_path) as process:
        _until(lambda: bool(client.zcard("earshot:workers")), process)
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, logged


def test_a_model_that_is_not_served_is_told_at_the_start(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """Before anything is to be answered; `earshot status` shows the same sentence."""
    with (
        StandIn("--model", "another") as served,
        redis_server.sync_client() as client,
        _role("llm", redis_server, tmp_path, "--base-url", served.base_url) as process,
    ):
        _until(lambda: "waits_for" in _said_by_workers(client), process)
        assert "has no model 'mistral'" in _said_by_workers(client)
        assert "it lists another: set EARSHOT_LLM__MODEL" in _said_by_workers(client)
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=DEADLINE_S)
        assert "has no model 'mistral'" in logged


def _said_by_workers(client: Redis) -> str:
    said = [client.get(name) for name in client.scan_iter("earshot:worker:*")]
    return " ".join(state.decode() for state in said if isinstance(state, bytes))


def test_the_jobs_have_their_workers_and_leave(redis_server: RedisServer, tmp_path: Path) -> None:
    with redis_server.sync_client() as client, _role("jobs", redis_server, tmp_path) as process:
        _until(lambda: client.scard("rq:workers") == 2, process)
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, logged


def test_the_producer_sends_what_it_hears(redis_server: RedisServer, tmp_path: Path) -> None:
    heard = ["--input", str(AUDIO)]
    with (
        redis_server.sync_client() as client,
        _role("listen", redis_server, tmp_path, *heard) as process,
    ):
        _, logged = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, logged
        assert client.hget("earshot:{0}:session:kitchen", "last") is not None
        assert client.xlen("earshot:{0}:utterances") > 0


def test_redis_with_the_flags_of_the_file_keeps_what_it_is_told(tmp_path: Path) -> None:
    program, *flags = services({})["redis"]["command"]
    socket = tmp_path / "s"
    here = ["--dir", str(tmp_path), "--port", "0", "--unixsocket", str(socket)]
    with subprocess.Popen(
        [program, *flags, *here], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            with Redis(unix_socket_path=str(socket), decode_responses=True) as client:
                _until(lambda: _answers(client), process)
                shown = client.config_get("*")
        finally:
            process.kill()
    assert isinstance(shown, dict)
    assert shown["appendonly"] == "yes"
    assert shown["appendfsync"] == "everysec"
    assert shown["maxmemory-policy"] == "noeviction"
    assert shown["save"] == ""


def test_the_health_check_of_redis_sees_it_live_and_die(redis_server: RedisServer) -> None:
    kind, check = services({})["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    here = check.replace("redis-cli", f"redis-cli -s {shlex.quote(str(redis_server.socket))}")
    assert subprocess.run(["sh", "-c", here], check=False).returncode == 0
    redis_server.kill()
    assert subprocess.run(["sh", "-c", here], check=False).returncode != 0


def test_the_check_of_a_role_needs_no_python_but_the_one_that_runs(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with (
        ComposeProcesses(tmp_path, secrets, ENV) as compose,
        ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server,
    ):
        threading.Thread(target=server.serve_forever).start()
        try:
            assert compose.is_ready("stt", server.server_port)
        finally:
            server.shutdown()
        server.server_close()
        assert not compose.is_ready("stt", server.server_port)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False
