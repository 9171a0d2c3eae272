"""The `earshot` command as tests run it: inside of their own process, or as one of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from common.settings import PREFIX
from ops.cli import main as cli

DEADLINE_S: Final = 60.0


class InProcessCommand:
    """`earshot ...` inside of the test's process: quick, because everything is imported."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        self._monkeypatch.setattr(sys, "argv", ["earshot", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = self._capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, captured.out, captured.err


class CommandProcesses:
    """`earshot ...` as real processes, in `folder`, with nothing of earshot in the environment
    but what is given; killed at the end."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        outside = {
            name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
        }
        self.variables = outside | variables
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.cli", *arguments],
            env=self.variables | variables,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        return finish(self.start(*arguments, **variables))

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end: exit status, stdout, stderr."""
    try:
        out, err = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"{process.args!r} did not end: {out[-500:]} {err[-2_000:]}")
    return process.returncode, out, err
