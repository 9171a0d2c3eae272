"""The pace of a reply: when each token is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The time to the first token, and the time from one token to the next (s)."""

    first_token_s: float
    per_token_s: float

    def due(self, index: int) -> float:
        """Return when the token with this index (from 0) is due, in seconds since the start."""
        return self.first_token_s + index * self.per_token_s


async def release_on_time(
    pieces: Sequence[str],
    pace: Pace,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[Sequence[str], None]:
    """Yield the tokens when they are due, usually one at a time.

    If the machine is too busy for that, several come at once, as from vLLM. So a reply never takes
    longer than planned. If there are no tokens, it still waits for the time of the first.
    """
    start = monotonic()
    sent = 0
    while True:
        await sleep(max(0.0, start + pace.due(sent) - monotonic()))
        if sent == len(pieces):
            return
        upto = sent + 1
        elapsed = monotonic() - start
        while upto < len(pieces) and pace.due(upto) <= elapsed:
            upto += 1
        yield pieces[sent:upto]
        sent = upto
        if sent == len(pieces):
            return
