"""The command inside the test's process, in an environment and a folder of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import InProcessCommand
from tests.support.environments import clear_environment, restored_logging


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[InProcessCommand]:
    clear_environment(monkeypatch, tmp_path)
    with restored_logging():
        yield InProcessCommand(monkeypatch, capsys)
