"""The speed of a reply: which tokens are due when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Time to the first token and between tokens, both in seconds."""

    first_token_s: float
    per_token_s: float

    def due(self, index: int) -> float:
        """When the token with this index (from 0) is due, seconds since the start."""
        return self.first_token_s + index * self.per_token_s


async def release_on_time(
    pieces: Sequence[str],
    pace: Pace,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[Sequence[str], None]:
    """The tokens that are due, as they come due; at least one each time.

    Usually that is one. On a machine too busy to keep up several come at once, as
    from vLLM, so a reply takes its time and no longer, however many run beside it.
    The wait for the first token is kept even if there is none.
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
