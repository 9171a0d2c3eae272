"""An environment of the test's own: no setting from outside, an empty folder, its own logging."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from common.settings import PREFIX


def clear_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Remove every EARSHOT_ variable, and make `folder` the working directory."""
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)


@contextmanager
def restored_logging() -> Iterator[None]:
    """Undo at the end what the test did to the logging: later tests have another stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        root.handlers[:] = handlers
        root.setLevel(level)
