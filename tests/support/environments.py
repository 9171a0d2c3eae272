"""A test's own surroundings: no setting from outside, an empty folder, logging put back after."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from common.settings import PREFIX


def clean(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Nothing of earshot in the environment, and `folder` as the working directory."""
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)


@contextmanager
def own_logging() -> Iterator[None]:
    """What is set up inside does not reach later tests, whose stderr is another one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        root.handlers[:] = handlers
        root.setLevel(level)
