"""Putting utterances into the outbox beside the hearing: a disk that hangs makes no ear deaf."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

import structlog

from common.closeable import Closeable
from common.latch import Latch
from common.utterance import Utterance

PATIENCE_S: Final = 1.0
"""How long the hearing waits for a disk (s) before it goes on. One that works takes a few ms."""

MOST_BYTES: Final = 16 * 2**20
"""Audio that may wait for a disk that hangs. Beyond it the hearing waits, too: a pipe or a file is
not read, and a microphone has its own queue."""

log = structlog.get_logger(__name__)

Keep = Callable[[Utterance, float], None]
"""Keeps an utterance whose speech ended so many seconds ago."""


class Keeper(Closeable):
    """Calls `keep` for one utterance after the other, in a thread of its own.

    Use it in one thread. `clock` (s) tells how long an utterance has waited. An error of `keep` is
    raised by the next call.
    """

    def __init__(self, keep: Keep, clock: Callable[[], float], session: str) -> None:
        self._keep = keep
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0
        self._session = session
        self._hangs = Latch(False)

    @property
    def is_behind(self) -> bool:
        """Whether something that was put here is not kept yet."""
        return any(not future.done() for future, _ in self._waiting)

    def put(self, utterance: Utterance, age_s: float) -> None:
        """Keep an utterance whose speech ended `age_s` ago.

        It waits for PATIENCE_S at most, unless so much waits that there is no room for more.
        """
        ended_at, was_behind = self._clock() - age_s, self.is_behind
        future = self._thread.submit(lambda: self._keep(utterance, self._clock() - ended_at))
        self._waiting.append((future, len(utterance.audio)))
        self._bytes += len(utterance.audio)
        if not was_behind:
            wait([future], PATIENCE_S)
            self._report(hangs=not future.done())
        self._settle(MOST_BYTES)

    def _report(self, *, hangs: bool) -> None:
        if not self._hangs.change_to(hangs):
            return
        if hangs:
            log.error("outbox_disk_hangs", session=self._session, hint="the hearing goes on")
        else:
            log.info("outbox_disk_answers_again", session=self._session)

    def close(self) -> None:
        """Wait until all is kept."""
        try:
            self._settle(-1)
        finally:
            self._thread.shutdown()

    def _settle(self, most_bytes: int) -> None:
        """Wait until no more than that waits; raise what failed."""
        while self._waiting and (self._waiting[0][0].done() or self._bytes > most_bytes):
            future, size = self._waiting.popleft()
            self._bytes -= size
            future.result()
