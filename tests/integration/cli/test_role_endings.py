"""A role ends as it was asked to, whatever has become of the terminal or the pipe around it."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from ops.local.process_exit import INTERRUPTED
from tests.support.listening import SPEECH, listen_environment
from tests.support.pipeline import earshot
from tests.support.redis_server import RedisServer
from tests.support.speechlike import speechlike
from tests.support.terminal import DEADLINE_S, in_terminal
from tests.support.waiting import until_sync


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(tcp=True) as redis:
        yield redis


@pytest.fixture
def env(redis: RedisServer, tmp_path: Path) -> dict[str, str]:
    return listen_environment(redis, tmp_path)


def wait_for_utterances(redis: RedisServer, count: int) -> None:
    with redis.sync_client() as client:
        until_sync(lambda: client.xlen("earshot:{0}:utterances") == count)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_reader_of_its_log_it_hears_on_and_ends_when_asked(
    number: signal.Signals, redis: RedisServer, env: dict[str, str]
) -> None:
    with subprocess.Popen(
        earshot("listen", "--input", "-"), env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            assert any(b'"listening"' in line for line in process.stderr)
            process.stderr.close()
            for count in (1, 2):
                process.stdin.write(SPEECH.tobytes())
                process.stdin.flush()
                wait_for_utterances(redis, count)
            process.send_signal(number)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


def test_a_second_signal_leaves_the_terminal_as_it_was(env: dict[str, str], silence: Path) -> None:
    arguments = earshot("listen", "--input", str(silence), "--realtime")
    with in_terminal(arguments, env, status=INTERRUPTED) as (terminal, process):
        terminal.wait_for("m: mute")
        assert not terminal.is_for_lines
        # both are there when it looks, so that the first cannot end it before the second comes
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
            process.send_signal(number)
        terminal.wait_for("\x1b[?25h")
        assert process.wait(DEADLINE_S) == INTERRUPTED
        assert terminal.is_for_lines


def test_a_terminal_that_is_closed_costs_nothing_of_what_is_being_said(
    redis: RedisServer, env: dict[str, str], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "speech.wav", speechlike(60), 16_000)
    listen = earshot("listen", "--input", str(tmp_path / "speech.wav"), "--realtime")
    with in_terminal([*listen, "--eager", "off"], env) as (terminal, process):
        terminal.wait_for("speaking  1.")
        terminal.close()
        assert process.wait(DEADLINE_S) == 0
    wait_for_utterances(redis, 1)
