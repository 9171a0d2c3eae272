"""What a command process logs on stderr as JSON, and the address of a Redis that never exists."""

import json
import subprocess
from typing import Any, Final

import pytest

NOWHERE: Final = "redis://127.0.0.1:1/0"


def parse_log(told: str) -> list[dict[str, Any]]:
    """The log lines among what a command wrote on stderr."""
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def until_logged(process: subprocess.Popen[str], event: str) -> list[dict[str, Any]]:
    """Read its log until `event` stands in it."""
    assert process.stderr is not None
    lines: list[dict[str, Any]] = []
    while line := process.stderr.readline():
        lines.append(json.loads(line))
        if lines[-1]["event"] == event:
            return lines
    pytest.fail(f"it ended without {event}: {lines}")
