"""The circuit breaker in front of the server that a role works with.

Closed: work flows. Open: the server is unusable, nothing is taken, the server is probed with
backoff. Trial: a probe succeeded, one piece of work at a time until one has succeeded too (a
server may list its models and still fail every request).
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import structlog

from common.backoff import Backoff
from common.errors import Transient

FIRST_PAUSE_S: Final = 0.5

log = structlog.get_logger(__name__)


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"


class Breaker:
    """`changed(sentence or None)` is called when the server becomes unusable or usable."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        changed: Callable[[str | None], None],
        *,
        max_pause_s: float,
    ) -> None:
        self._probe = probe
        self._changed = changed
        self._pauses = Backoff(FIRST_PAUSE_S, max_pause_s)
        self._opened = asyncio.Event()
        self.state = State.CLOSED
        self.why: str | None = None

    def failed(self, why: str) -> None:
        """The server proved unusable."""
        if why != self.why:
            log.warning("server_unusable", why=why)
            self.why = why
            self._changed(why)
        self.state = State.OPEN
        self._opened.set()

    def succeeded(self) -> None:
        """Work came through."""
        if self.state is State.TRIAL:
            self.state = State.CLOSED
            self._pauses.reset()
            self.why = None
            self._changed(None)
            log.info("server_usable_again")

    async def watch(self) -> None:
        """Probe while open; runs as long as the worker."""
        while True:
            await self._opened.wait()
            await asyncio.sleep(self._pauses.next_pause())
            try:
                await self._probe()
            except Transient as error:
                self.failed(str(error))
                continue
            except Exception as error:
                self.failed(f"the server cannot be asked whether it is usable: {error!r}")
                continue
            self._opened.clear()
            self.state = State.TRIAL
