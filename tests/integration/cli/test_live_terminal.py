"""On a terminal `earshot tail` streams replies in place, and `earshot status --watch` looks again
and again; Ctrl+C ends both in good order."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.fake_pipeline import FakePipeline
from tests.support.pipeline import earshot
from tests.support.redis_server import RedisServer
from tests.support.terminal import in_terminal

MAGENTA = "\x1b[1;35m"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as server:
        yield server


@pytest.fixture
def env(server: RedisServer) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EARSHOT_")}
    inherited.pop("NO_COLOR", None)
    return inherited | {
        "EARSHOT_REDIS__URL": server.url,
        "TERM": "xterm-256color",
        "COLUMNS": "120",
    }


def test_a_reply_streams_in_place(server: RedisServer, env: dict[str, str]) -> None:
    with FakePipeline(server) as fake_pipeline:
        fake_pipeline.say("kitchen", "Before")
        arguments = earshot("tail", "--since", "all")
        with in_terminal(arguments, env, end=signal.SIGINT) as (terminal, _):
            terminal.wait_for("Before")
            attempt = fake_pipeline.take("kitchen")
            fake_pipeline.stream(attempt, 0, "One, \x1b[2J")
            terminal.wait_for(MAGENTA)
            terminal.wait_for("One, [2J")
            fake_pipeline.stream(attempt, 1, "two")
            terminal.wait_for("One, [2Jtwo")
            fake_pipeline.settle(attempt, "One, two.")
            terminal.wait_for("One, two.")
            terminal.wait_for("first token")
            server.stop()
            terminal.wait_for("redis_is_away")
            server.start()


def test_status_looks_again(server: RedisServer, env: dict[str, str]) -> None:
    with (
        FakePipeline(server) as fake_pipeline,
        in_terminal(earshot("status", "--watch"), env, end=signal.SIGINT) as (terminal, _),
    ):
        terminal.wait_for("open sessions  0")
        fake_pipeline.say("kitchen", "Hello")
        terminal.wait_for("open sessions  1")
        server.stop()
        terminal.wait_for("cannot be reached")
        server.start()
        terminal.wait_for("No worker is running")
