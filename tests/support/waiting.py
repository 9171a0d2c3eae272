"""Waiting for what has no event of its own: a log line, a counter, a file."""

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Final

DEADLINE_S: Final = 120.0
POLL_S: Final = 0.01


async def until(look: Callable[[], Any], good: Callable[[Any], object] = bool) -> Any:
    """Look, in a function or a coroutine, until what is seen is good; what it is."""
    # no asyncio.timeout: a command of redis-py may swallow its cancellation (see `Link.call`)
    deadline = time.monotonic() + DEADLINE_S
    while True:
        seen = look()
        if isawaitable(seen):
            seen = await seen
        if good(seen):
            return seen
        assert time.monotonic() < deadline, f"it did not come to pass: {seen!r}"
        await asyncio.sleep(POLL_S)


def until_sync(look: Callable[[], Any], good: Callable[[Any], object] = bool) -> Any:
    """The same without an event loop."""
    deadline = time.monotonic() + DEADLINE_S
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"it did not come to pass: {seen!r}"
        time.sleep(POLL_S)
    return seen
