"""Each test has an environment and a working directory of its own."""

from pathlib import Path

import pytest

from tests.support.environments import clear_environment


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)
