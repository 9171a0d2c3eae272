"""From the outbox to Redis: in order, repeated until acknowledged, nothing twice.

An utterance in the outbox that is not final may have gone out as a draft (see `drafts.py`). It is
committed. If its draft never arrived or its turn has ended, it is published whole.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from common.backoff import Backoff
from common.errors import Refused
from common.latch import Latch
from common.redis.failures import is_unusable
from common.redis.link import Link
from common.redis.store import Store
from common.transitions.publishing import (
    Commitment,
    Published,
    Verdict,
    abandon,
    commit,
    publish,
)
from common.utterance import Utterance
from producer.shipping.eager import Eager
from producer.shipping.identity import next_utterance_id
from producer.shipping.outbox import Outbox, Waiting
from producer.shipping.outbox_metrics import report_dropped
from producer.storage.boot_clock import host_clock
from producer.telemetry.metrics import PUBLISHED

FULL_PAUSE_S: Final = 1.0
FULL_PAUSE_MAX_S: Final = 10.0

LOOK_S: Final = 1.0
"""How often it is checked whether the outbox's disk fails. The pauses between two tries of the disk
itself are its own."""

log = structlog.get_logger(__name__)


class Shipper:
    """A publisher of what waits in the outbox, oldest first.

    A publish is idempotent by utterance id. So a lost answer, or a process that is killed between
    publish and forget, costs a `duplicate` and nothing else. `clock` (s) dates the drafts; it is
    that of the ear.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        outbox: Outbox,
        *,
        eager_backlog: int = 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._link = link
        self._outbox = outbox
        self._added = asyncio.Event()
        self._idle = asyncio.Event()
        self.eager = Eager(
            store,
            link,
            max_backlog=eager_backlog,
            wake=self._added.set,
            note=outbox.note_draft,
            clock=clock or host_clock().elapsed,
        )
        self._pauses = Backoff(FULL_PAUSE_S, FULL_PAUSE_MAX_S)
        self._is_full = Latch(False)
        self.sent = 0

    def added(self) -> None:
        """Note that the outbox has grown (call it from the event loop's thread)."""
        if not self._link.is_up:
            log.warning("kept_in_outbox", why=self._link.why, waiting=len(self._outbox))
        self._added.set()

    async def keep_on_disk(self, every_s: float = LOOK_S) -> None:
        """While the outbox's disk fails, try it again and again, whether anything else happens or
        not: what waits in memory shall not wait there for long. Until cancelled.
        """
        while True:
            await asyncio.sleep(every_s)
            if not self._outbox.disk_failure:
                continue
            if await asyncio.to_thread(self._outbox.recover):
                self._added.set()  # what could not be read may be readable again

    async def drained(self) -> None:
        """Wait until the outbox is empty."""
        while len(self._outbox):
            self._idle.clear()
            await self._idle.wait()

    async def run(self) -> None:
        """Ship until cancelled."""
        self._added.set()
        await self._end_unfinished_draft()
        while True:
            await self._added.wait()
            self._added.clear()
            while await self._ship_next():
                pass
            self._idle.set()

    async def _end_unfinished_draft(self) -> None:
        """End the turn of a draft whose process was killed: it would hold back all later turns.

        This comes before any other draft is noted, so that this one is not forgotten while Redis
        is away.
        """
        if not (utterance := await asyncio.to_thread(self._outbox.unfinished_draft)):
            return
        session = self._outbox.session
        try:
            ended = await self._link.retry_until_answered(abandon, self._store, session, utterance)
        except Refused as error:  # it will end by its timeout
            log.warning("draft_left_open", session=session, utterance=utterance, why=str(error))
            return
        await asyncio.to_thread(self._outbox.forget_draft)
        if ended:
            log.info("draft_of_killed_process_ended", session=session, utterance=utterance)

    async def _ship_next(self) -> bool:
        """Ship one utterance or one draft; return False if there is none."""
        # taken before the outbox is read: what was cut before the draft must go first
        draft = self.eager.draft
        if (waiting := await asyncio.to_thread(self._first)) is not None:
            await self._ship(waiting)
            return True
        if draft is not None:
            await self.eager.send(draft)
            return True
        await self.eager.keep_open()
        return False

    def _first(self) -> Waiting | None:
        if (dropped := self._outbox.drop_stale()) is not None:
            report_dropped(self._outbox.session, dropped)
        return self._outbox.first()

    async def _ship(self, waiting: Waiting) -> None:
        utterance = waiting.utterance
        try:
            answer = await self._link.call(self._publish_or_commit, utterance)
        except Refused as error:
            PUBLISHED.labels("refused").inc()
            log.error("utterance_parked", utterance=utterance.id, why=str(error))
            await asyncio.to_thread(self._outbox.park, waiting.place, str(error))
            return
        except Exception as error:
            if not is_unusable(error):
                raise
            await self._link.pause()  # then read it again: its age has grown
            return
        PUBLISHED.labels(answer.verdict.value).inc()
        if answer.verdict is Verdict.FULL:
            await self._wait_for_room(answer)
            return
        if self._is_full.change_to(False):
            self._pauses.reset()
            log.info("backlog_has_room_again", waiting=len(self._outbox))
        if answer.verdict is Verdict.CLOSED:
            # its turn ended without it: the speech is not lost, it becomes a new turn
            name = next_utterance_id(utterance.id)
            await asyncio.to_thread(self._outbox.rename, waiting.place, name)
            return
        await asyncio.to_thread(self._outbox.forget, waiting.place)
        self.sent += 1
        log.info(
            "utterance_sent",
            session=utterance.session,
            turn=answer.turn or None,
            utterance=utterance.id,
            speech_s=round(utterance.speech_ms / 1000, 2),
            early=not utterance.final or None,
            again=answer.verdict is Verdict.DUPLICATE or None,
            waiting=len(self._outbox),
        )

    async def _publish_or_commit(self, utterance: Utterance) -> Published:
        if not utterance.final:
            committed = await commit(
                self._store, utterance.session, utterance.id, utterance.revision
            )
            match committed.outcome:
                case Commitment.OK:
                    return Published(Verdict.REVISED, committed.turn)
                case Commitment.CLOSED:
                    return Published(Verdict.CLOSED)
            utterance = utterance.model_copy(update={"final": True})
        return await publish(self._store, utterance)

    async def _wait_for_room(self, answer: Published) -> None:
        if self._is_full.change_to(True):
            log.warning("kept_in_outbox", why=answer.why, waiting=len(self._outbox))
        await asyncio.sleep(self._pauses.next_pause())
