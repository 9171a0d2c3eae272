"""What somebody said cannot turn round what a terminal shows; a pipe gets it as it is."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.fake_pipeline import FakePipeline
from tests.support.pipeline import earshot
from tests.support.redis_server import RedisServer
from tests.support.terminal import in_terminal

SAID = "pay \u202e001\u202c euros"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        yield server


def test_terminals_and_pipes(server: RedisServer) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("EARSHOT_")}
    env |= {"EARSHOT_REDIS__URL": server.url, "TERM": "xterm-256color", "COLUMNS": "120"}
    with FakePipeline(server) as fake_pipeline:
        fake_pipeline.say("kitchen", SAID)
        options = ("--since", "all", "--no-follow")
        with in_terminal(earshot("tail", "--json", *options), env) as (terminal, process):
            terminal.wait_for("pay \\u202e001\\u202c euros")
            process.wait()
        with in_terminal(earshot("tail", *options), env) as (terminal, process):
            terminal.wait_for("pay 001 euros")
            process.wait()
        piped = subprocess.run(
            earshot("tail", "--json", *options), env=env, capture_output=True, check=True
        )
        assert SAID in piped.stdout.decode()
