"""The servers of the tests keep what they were told to keep, and never outlive the tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.redis_server import EXECUTABLES, RedisServer
from tests.support.repository import ROOT

DEADLINE_S = 10.0
STARTS_ONE = """
from tests.support.redis_server import RedisServer
server = RedisServer()
print(server.pid, server.folder, flush=True)
input()
"""


@pytest.fixture(params=EXECUTABLES)
def persistent(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    options = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer(EXECUTABLES[request.param], tcp=True, options=options) as server:
        yield server


def test_what_was_written_survives_a_kill(persistent: RedisServer) -> None:
    url = persistent.url
    with persistent.sync_client() as client:
        client.set("key", "value")
    persistent.restart()
    assert persistent.url == url
    with persistent.sync_client() as client:
        assert client.get("key") == b"value"


def test_what_was_written_survives_a_clean_restart(persistent: RedisServer) -> None:
    with persistent.sync_client() as client:
        client.set("key", "value")
    persistent.restart(clean=True)
    with persistent.sync_client() as client:
        assert client.get("key") == b"value"


def test_a_closed_server_leaves_nothing(persistent: RedisServer) -> None:
    pid, folder = persistent.pid, persistent.folder
    persistent.close()
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
    persistent.close()


def test_a_setting_that_redis_refuses_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"did not start(.|\n)*sometimes"):
        RedisServer(options={"appendfsync": "sometimes"})


def test_a_server_dies_with_its_tests(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    )
    assert process.stdout is not None
    pid, folder = process.stdout.readline().split()
    assert psutil.pid_exists(int(pid))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + DEADLINE_S
    while psutil.pid_exists(int(pid)) or Path(folder).exists():
        assert time.monotonic() < deadline, "the server outlived the process that started it"
        time.sleep(0.01)
