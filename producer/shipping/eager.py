"""Eager publishing: drafts go to Redis before it is certain that the speaker has finished.

It is best effort, from memory. Everything in the outbox goes first, so that turns keep their order.
No draft goes out while Redis is away or all workers are busy. The shipper alone decides what
becomes of a draft, when the utterance is in the outbox.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from redis.exceptions import ResponseError

from common.errors import BadInput, Refused
from common.keys import STT_GROUP
from common.latch import Latch
from common.redis.failures import is_unusable
from common.redis.link import Link
from common.redis.store import Store
from common.status.streams import count_waiting
from common.transitions.publishing import Verdict, keep_open, publish
from producer.shipping.drafts import Draft

SIGNS_PER_TIMEOUT: Final = 3
"""Signs of life per turn_timeout: two may be lost."""

TAKEN: Final = (Verdict.ACCEPTED, Verdict.REVISED)

log = structlog.get_logger(__name__)


class Eager:
    """One producer's drafts, for the shipper to send. Use it in the event loop's thread only.

    `max_backlog`: drafts are sent while at most so many utterances wait for a worker. `wake` is
    called when there is something to do. `note` stores on disk which utterance may have a draft in
    Redis, so that its turn can be ended if this process is killed. It raises BadInput when the disk
    takes no note.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        *,
        max_backlog: int,
        wake: Callable[[], None],
        note: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._link = link
        self._max_backlog = max_backlog
        self._wake = wake
        self._note = note
        self._clock = clock
        self._draft: Draft | None = None
        self._tried: Draft | None = None
        self._speaking: tuple[str, str] | None = None
        self._is_off = Latch(False)
        self._is_noteless = Latch(False)
        self.sent = 0

    @property
    def draft(self) -> Draft | None:
        """The draft that is to be sent, if there is one."""
        return self._draft

    def offer(self, draft: Draft) -> None:
        self._draft = draft
        self._wake()

    def withdraw(self) -> None:
        self._draft = None

    def report_ongoing_speech(self, session: str, utterance: str) -> None:
        self._speaking = session, utterance
        self._wake()

    async def send(self, draft: Draft) -> None:
        """Publish a draft, or drop it.

        If the answer is lost, the draft is sent again while it is still the latest one: publishing
        is idempotent. The commit finds out whether the draft arrived.
        """
        if not self._link.is_up and self._tried is not draft:
            self._done_with(draft)
            return
        self._tried = draft
        try:
            if await self._link.call(self._workers_are_busy, draft.utterance.session):
                self._done_with(draft)
                return
            if not await asyncio.to_thread(self._can_note, draft.utterance.id):
                self._done_with(draft)
                return
            age_ms = round(1000 * (self._clock() - draft.spoken_at))
            utterance = draft.utterance.model_copy(update={"hold_ms": max(0, age_ms)})
            answer = await self._link.call(publish, self._store, utterance)
        except Refused:
            self._done_with(draft)  # the shipper logs why, when the utterance is in the outbox
            return
        except Exception as error:
            if not is_unusable(error):
                raise
            await self._link.pause()
            return
        self._done_with(draft)
        self.sent += answer.verdict in TAKEN
        log.debug(
            "sent_early",
            session=utterance.session,
            utterance=utterance.id,
            revision=utterance.revision,
            outcome=answer.verdict.value,
        )

    def _can_note(self, utterance: str) -> bool:
        """Note a draft, and return whether the disk took the note; log each change once.

        Without the note nobody could end the draft's turn if this process were killed.
        """
        try:
            self._note(utterance)
        except BadInput as error:
            if self._is_noteless.change_to(True):
                log.warning("eager_transcription_off", why=str(error))
            return False
        if self._is_noteless.change_to(False):
            log.info("eager_transcription_on_again")
        return True

    def _done_with(self, draft: Draft) -> None:
        if self._draft is draft:
            self._draft = None

    async def _workers_are_busy(self, session: str) -> bool:
        """Return whether too many utterances wait; log each change once.

        It ends when only half as many wait, so that it does not flicker.
        """
        waiting = await self._waiting(session)
        off = waiting > (self._max_backlog // 2 if self._is_off.state else self._max_backlog)
        if self._is_off.change_to(off):
            if off:
                why = "more waits than STT workers take: all are busy, or none is running"
                log.warning("eager_transcription_off", waiting=waiting, why=why)
            else:
                log.info("eager_transcription_on_again", waiting=waiting)
        return off

    async def _waiting(self, session: str) -> int:
        """Return how many live utterances of the session's shard no worker has taken."""
        redis: Any = self._store.redis
        stream = self._store.shard(session).utterances
        try:
            return await count_waiting(redis, stream, STT_GROUP)
        except ResponseError as error:
            if is_unusable(error):
                raise
            return 0  # a foreign key is in the way, and publish reports it

    async def keep_open(self) -> None:
        """Tell Redis that the speaker of an open turn goes on, if that was reported."""
        if self._speaking is None:
            return
        (session, utterance), self._speaking = self._speaking, None
        if not self._link.is_up:
            return
        try:
            await self._link.call(keep_open, self._store, session, utterance)
        except Exception as error:
            if not (is_unusable(error) or isinstance(error, Refused)):
                raise
