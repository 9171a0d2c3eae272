"""The circuit breaker in front of the server that a role works with.

Closed: the worker takes entries. Open: the server is unusable, the worker takes nothing and probes
the server with backoff. Trial: a probe succeeded, and the worker takes one entry at a time until
one has succeeded: a server may list its models and still fail every request.
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


class BreakerState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"


class Breaker:
    """Calls `on_change` when the server becomes unusable (with the reason) or usable (None)."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        on_change: Callable[[str | None], None],
        *,
        max_pause_s: float,
    ) -> None:
        self._probe = probe
        self._on_change = on_change
        self._pauses = Backoff(FIRST_PAUSE_S, max_pause_s)
        self._opened = asyncio.Event()
        self.state = BreakerState.CLOSED
        self.why: str | None = None

    def report_failure(self, why: str) -> None:
        """Open the breaker: the server proved unusable."""
        if why != self.why:
            log.warning("server_unusable", why=why)
            self.why = why
            self._on_change(why)
        self.state = BreakerState.OPEN
        self._opened.set()

    def report_success(self) -> None:
        """Close the breaker, if it is on trial: an entry came through."""
        if self.state is BreakerState.TRIAL:
            self.state = BreakerState.CLOSED
            self._pauses.reset()
            self.why = None
            self._on_change(None)
            log.info("server_usable_again")

    async def run(self) -> None:
        """Probe the server while the breaker is open, until cancelled."""
        while True:
            await self._opened.wait()
            await asyncio.sleep(self._pauses.next_pause())
            try:
                await self._probe()
            except Transient as error:
                self.report_failure(str(error))
                continue
            except Exception as error:
                self.report_failure(f"the server cannot be asked whether it is usable: {error!r}")
                continue
            self._opened.clear()
            self.state = BreakerState.TRIAL
