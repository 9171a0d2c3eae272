"""The pauses between tries of something that fails: each twice as long as the one before."""

import random
from collections.abc import Callable


def jitter(pause_s: float, draw: Callable[[float, float], float] = random.uniform) -> float:
    """Draw a pause between half of `pause_s` and all of it.

    So processes that failed at the same moment do not all try again at the same moment.
    """
    return draw(pause_s / 2, pause_s)


class Backoff:
    """Pauses that start at `first_s` and double up to `longest_s` (both in s).

    `spread` turns each pause into the one that is waited; None waits it exactly.
    """

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        *,
        spread: Callable[[float], float] | None = jitter,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._spread = spread
        self.pause_s = first_s
        """The next pause, before it is spread."""

    def next_pause(self) -> float:
        """Return how long to wait before the next try (s), and double the pause after it."""
        pause_s = self.pause_s
        self.pause_s = min(2 * pause_s, self._longest_s)
        return pause_s if self._spread is None else self._spread(pause_s)

    def reset(self) -> None:
        """Start again at the first pause, since a try has succeeded."""
        self.pause_s = self._first_s
