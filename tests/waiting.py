"""Waiting for what has no event of its own: a log line, a counter, a file."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

DEADLINE_S: Final = 60.0
POLL_S: Final = 0.01


async def until(condition: Callable[[], object]) -> None:
    """Until it is true; fails after a minute."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # there is no asyncio.Event for it
            await asyncio.sleep(POLL_S)


def until_sync(condition: Callable[[], object]) -> None:
    """The same without an event loop."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(POLL_S)
