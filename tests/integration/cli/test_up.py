"""`earshot up` says what is wrong with its parts, and ends when it is asked to, ready or not."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandProcesses, finish


@pytest.fixture
def earshot(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(tmp_path, XDG_DATA_HOME=str(tmp_path), EARSHOT_STT__MODEL="demo")
    yield processes
    processes.close()


def told_until(process: subprocess.Popen[str], *wanted: str) -> list[str]:
    """Its stderr up to the line in which the last of `wanted` stands, in whatever order."""
    assert process.stderr is not None
    left, lines = set(wanted), []
    while left and (line := process.stderr.readline()):
        lines.append(line)
        left = {one for one in left if one not in line}
    assert not left, lines
    return lines


def test_what_the_roles_warn_of_is_seen_and_credentials_for_another_redis_are_not_used(
    earshot: CommandProcesses,
) -> None:
    process = earshot.start(
        "up",
        "--no-listen",
        "--no-dashboard",
        EARSHOT_LLM__BASE_URL="http://127.0.0.1:1/v1",
        EARSHOT_REDIS__USERNAME="somebody",
        EARSHOT_REDIS__PASSWORD="secret",
    )
    told_until(process, "Ready.", "server_unusable")
    process.send_signal(signal.SIGTERM)
    status, _, told = finish(process)
    assert status == 0
    assert told.endswith("Stopped.\n")


def test_it_ends_while_it_waits_for_redis(earshot: CommandProcesses) -> None:
    process = earshot.start("up", "--no-listen", "--redis-url", "redis://127.0.0.1:1/0")
    told_until(process, "redis_is_away")
    process.send_signal(signal.SIGTERM)
    status, _, told = finish(process)
    assert status == 0
    assert told.endswith("Stopped.\n")
