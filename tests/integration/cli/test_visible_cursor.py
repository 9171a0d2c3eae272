"""A command that draws on a terminal gives its cursor back, however it is ended: by Ctrl+C, by
Ctrl+C again and again, by SIGTERM."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pipeline import earshot
from tests.support.redis_server import RedisServer
from tests.support.terminal import DEADLINE_S, in_terminal

HIDDEN: Final = "\x1b[?25l"
SHOWN: Final = "\x1b[?25h"

COMMANDS: Final = {
    "tail": ["tail"],
    "status": ["status", "--watch"],
    "transcribe here": ["transcribe", "--here", "silence.wav"],
    "transcribe": ["transcribe", "recordings/silence.wav"],
}
ENDS: Final = {
    "Ctrl+C": [signal.SIGINT],
    "Ctrl+C again and again": [signal.SIGINT, signal.SIGINT, signal.SIGINT],
    # both are there when it looks, so that the first cannot end it before the second comes
    "two signals at once": [signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT],
    "SIGTERM": [signal.SIGTERM],
}
KILLED: Final = ("two signals at once", "SIGTERM")
"""What kills a command that is no role."""


@pytest.fixture
def env(tmp_path: Path, silence: Path) -> Iterator[dict[str, str]]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EARSHOT_")}
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "silence.wav").hardlink_to(silence)
    with RedisServer(tcp=True) as redis:
        yield inherited | {
            "EARSHOT_REDIS__URL": redis.url,
            "EARSHOT_JOBS__FOLDER": str(folder),
            "TERM": "xterm-256color",
            "COLUMNS": "120",
        }


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_cursor_is_there_again(
    command: str,
    end: str,
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    is_role = command == "transcribe here"
    status = 130 if "transcribe" in command else 0
    if end in KILLED and not is_role:
        status = -signal.SIGTERM
    with in_terminal(earshot(*COMMANDS[command]), env, status=status) as (terminal, process):
        terminal.wait_for(HIDDEN)
        for number in ENDS[end]:
            process.send_signal(number)
        terminal.wait_for(SHOWN)
        assert process.wait(DEADLINE_S) == status
        assert HIDDEN not in terminal.text
