"""A test's own environment: nothing of earshot in it, and an empty working directory."""

import os
from pathlib import Path

import pytest

from common.settings import PREFIX


def clean(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
