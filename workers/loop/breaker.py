"""The circuit breaker in front of the server that a role works with.

A failed request may be the request's fault or the server's. Only one question tells: whether the
server still answers the smallest request that there is. It is asked after an error that cannot be
about the request, after failures of several sessions in a row, and before a request that failed
too often is buried. The breaker opens only when the server fails that question.

Closed: the worker takes entries. Open: the server is unusable, the worker takes nothing and asks
again and again. Trial: the server has answered, and the worker takes one entry at a time, until one
has succeeded or a moment has passed. Nobody has to wait for a request that hangs.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from typing import Final

import structlog

from common.backoff import Backoff
from common.errors import Busy, Transient

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 1.0
"""Pauses between two questions, so short that a worker is ready soon after its server."""

SESSIONS_IN_A_ROW: Final = 3
"""Failures of so many different sessions, without a success between them, raise the question."""

LONGEST_WISH_S: Final = 15.0
"""A server that wants to be left alone (Retry-After) is left alone for this long at most."""

TRIAL_S: Final = 2.0
"""A trial lasts no longer than this: its one entry may get no answer, or a long one."""

FRESH_S: Final = 1.0
"""An answer of the server is proof for so long that it is usable."""

log = structlog.get_logger(__name__)


class BreakerState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"


class Breaker:
    """Calls `on_change` when the server becomes unusable (with the reason) or usable (None).

    `ask` asks the server for the smallest answer, and raises Transient if there is none.
    `sessions_in_a_row`: failures of so many sessions make it ask. `clock` counts seconds.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        on_change: Callable[[str | None], None],
        *,
        sessions_in_a_row: int = SESSIONS_IN_A_ROW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._on_change = on_change
        self._sessions_in_a_row = sessions_in_a_row
        self._clock = clock
        self._pauses = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._opened = asyncio.Event()
        self._failed: set[str] = set()
        self._failing: set[str] = set()
        self._asking: asyncio.Task[Transient | None] | None = None
        self._answered_at = -FRESH_S
        self.state = BreakerState.CLOSED
        self.why: str | None = None

    def open(self, why: str) -> None:
        """Open the breaker: the server proved unusable."""
        if why != self.why:
            log.warning("server_unusable", why=why)
            self.why = why
            self._on_change(why)
        self.state = BreakerState.OPEN
        self._opened.set()

    def limit(self, concurrency: int) -> int:
        """Return how many entries may be in hand now, out of `concurrency`."""
        match self.state:
            case BreakerState.OPEN:
                return 0
            case BreakerState.TRIAL:
                return 1
            case BreakerState.CLOSED:
                return concurrency

    def note_success(self) -> None:
        """Note that a request was answered; ends a trial."""
        self._failing.clear()
        self._note_answer()
        if self.state is BreakerState.TRIAL:
            self.state = BreakerState.CLOSED

    async def note_failure(self, session: str) -> None:
        """Note that a request of a session failed; ask the server if it was one too many."""
        if not self.fails_for_all:
            self._failing.add(session)
        self._failed.add(session)
        if len(self._failed) >= self._sessions_in_a_row:
            await self.confirm()

    @property
    def fails_for_all(self) -> bool:
        """Whether requests of several sessions have failed, and none was answered since."""
        return len(self._failing) >= SESSIONS_IN_A_ROW

    async def confirm(self, *, fresh_s: float = 0) -> Transient | None:
        """Ask the server for the smallest answer; return why there was none.

        Does not ask if the server has answered anybody in the last `fresh_s` seconds. Opens the
        breaker if the server is unusable, not if it is only busy.
        """
        if fresh_s and self._clock() - self._answered_at < fresh_s:
            return None
        if self._asking is None:
            self._asking = asyncio.create_task(self._question(), name="ask the server")
        error = await asyncio.shield(self._asking)
        if error is not None and not isinstance(error, Busy):
            self.open(str(error))
        return error

    async def run(self) -> None:
        """Ask the server while the breaker is open, and end trials, until cancelled."""
        try:
            while True:
                await self._opened.wait()
                await asyncio.sleep(self._pauses.next_pause())
                error = await self.confirm()
                if error is None:
                    self._begin_trial()
                    await self._end_trial()
                elif error.retry_after:
                    await asyncio.sleep(min(LONGEST_WISH_S, error.retry_after))
        finally:
            if self._asking is not None:
                self._asking.cancel()

    def _begin_trial(self) -> None:
        self._opened.clear()
        self._pauses.reset()
        self.state = BreakerState.TRIAL
        self.why = None
        self._on_change(None)
        log.info("server_usable_again")

    async def _end_trial(self) -> None:
        """Close the breaker after a moment, unless it has opened again or closed by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TRIAL_S):
                await self._opened.wait()
        if self.state is BreakerState.TRIAL:
            self.state = BreakerState.CLOSED

    async def _question(self) -> Transient | None:
        try:
            await self._ask()
        except Transient as error:
            return error
        except Exception as error:
            return Transient(f"the server cannot be asked whether it is usable: {error!r}")
        finally:
            self._asking = None
        self._note_answer()
        return None

    def _note_answer(self) -> None:
        self._answered_at = self._clock()
        self._failed.clear()
