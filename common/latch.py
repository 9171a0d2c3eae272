"""Logging a state when it changes, and not in every round of a loop."""

from collections.abc import Hashable
from typing import Generic, TypeVar

State = TypeVar("State")


class Latch(Generic[State]):
    """Holds the last `state` of something.

    if self._is_full.change_to(True):
        log.warning("backlog_full")
    """

    def __init__(self, state: State) -> None:
        self.state = state

    def change_to(self, state: State) -> bool:
        """Take over `state`, and return whether it differs from the one before."""
        changed = state != self.state
        self.state = state
        return changed


class FirstTimes:
    """Tells whether something happens for the first time, to log it once.

    It remembers `most` things, since others may be able to make up any number; of further ones it
    says that they happened before.

    if self._warned.is_first(name):
        log.warning("unknown_name", name=name)
    """

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._seen: set[Hashable] = set()

    def is_first(self, what: Hashable) -> bool:
        """Return True the first time."""
        if what in self._seen or len(self._seen) >= self._most:
            return False
        self._seen.add(what)
        return True
