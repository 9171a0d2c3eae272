"""Logging a state when it changes, and not in every round of a loop."""

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
