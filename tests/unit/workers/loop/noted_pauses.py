"""Pauses between tries that are noted and take no time."""

from functools import partial
from types import ModuleType

import pytest

from common.backoff import Backoff


def note_pauses(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[float]:
    """Have the `Backoff` of a module wait for nothing; return the pauses (s) as they come."""
    noted: list[float] = []

    def note(pause_s: float) -> float:
        noted.append(pause_s)
        return 0.0

    monkeypatch.setattr(module, "Backoff", partial(Backoff, spread=note))
    return noted
