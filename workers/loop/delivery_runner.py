"""Running the handler on one entry in hand, until the entry is settled, buried or given up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, Unpack

import structlog

from common.backoff import Backoff
from common.errors import Lost, Refused
from common.redis.link import Link
from common.settings import WorkerSettings
from common.status.worker_record import WorkerChanges
from common.transitions.claims import Settled
from workers.loop.breaker import Breaker
from workers.loop.decisions import (
    AwaitRedis,
    Bury,
    Decision,
    HandBack,
    LetGo,
    Redeliver,
    TryAgain,
    decide,
    is_unexplained,
)
from workers.loop.handler import Delivery, Handler, HandlerContext
from workers.loop.in_hand import EntriesInHand, EntryInHand
from workers.loop.metrics import BURIED, DELIVERIES, RETRIES, SETTLED
from workers.loop.reader import Reader
from workers.loop.registration import Registration

Answer = TypeVar("Answer")

FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 300.0
"""A server may wish for more (or for nonsense), but somebody waits for the answer."""

CLAIM_PASSED_ON: Final = "the claim passed to another worker"

log = structlog.get_logger(__name__)


class LoopContext:
    """The handler's view of the loop, while it works on one entry or starts."""

    def __init__(
        self, link: Link, registration: Registration, entry: EntryInHand | None = None
    ) -> None:
        self._link = link
        self._registration = registration
        self._entry = entry

    async def retry_until_answered(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        if self._entry is None:
            return await self._link.retry_until_answered(transition)
        if self._entry.lost:
            raise Lost(CLAIM_PASSED_ON)
        self._entry.in_transition = True
        try:
            return await self._link.retry_until_answered(transition)
        finally:
            self._entry.in_transition = False

    async def try_once(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        return await self._link.call(transition)

    def update_record(self, **changes: Unpack[WorkerChanges]) -> None:
        self._registration.update(**changes)


class DeliveryRunner:
    """Runs the handler, and carries out what its errors mean."""

    def __init__(
        self,
        handler: Handler,
        in_hand: EntriesInHand,
        link: Link,
        registration: Registration,
        breaker: Breaker,
        settings: WorkerSettings,
    ) -> None:
        self._handler = handler
        self._in_hand = in_hand
        self._link = link
        self._registration = registration
        self._breaker = breaker
        self._settings = settings

    async def run(self, reader: Reader, entry: EntryInHand) -> None:
        """Work on an entry until it is settled, buried, handed back or another worker's."""
        context = LoopContext(self._link, self._registration, entry)
        pauses = Backoff(FIRST_RETRY_S, self._settings.backoff_max_s)
        self._count_delivery(entry.delivery)
        while True:
            outcome = await self._try(entry, context)
            match outcome:
                case TryAgain():
                    await self._wait(outcome, pauses.next_pause())
                case AwaitRedis():
                    self._count_retry("redis")
                    await self._link.pause()
                case Redeliver():
                    self._count_retry("failed")
                    await asyncio.sleep(pauses.next_pause())
                    if not await self._redeliver(reader, entry):
                        return
                case _:
                    await self._end(entry, context, outcome)
                    return

    async def _try(self, entry: EntryInHand, context: HandlerContext) -> Settled | Decision:
        """Run the handler once; return how it settled the entry, or what its error means."""
        delivery, limit = entry.delivery, self._settings.max_deliveries
        if delivery.number > limit:
            return Bury("max_deliveries", f"delivered {delivery.number} times, never settled")
        try:
            return await self._handler.handle(delivery, context)
        except Exception as error:
            decision = decide(error, delivery.number, limit)
            if is_unexplained(decision):
                log.exception("handler_failed", deliveries=delivery.number)
            return decision

    async def _wait(self, decision: TryAgain, pause_s: float) -> None:
        self._count_retry("transient")
        # in this order, for a wish that is no number
        wait_s = min(LONGEST_RETRY_S, decision.wish_s or pause_s)
        log.warning("trying_again", why=decision.why, in_s=round(wait_s, 1))
        await asyncio.sleep(wait_s)

    async def _redeliver(self, reader: Reader, entry: EntryInHand) -> bool:
        """Count another delivery; return whether the entry is still ours."""
        delivery = await self._link.retry_until_answered(reader.redeliver, entry.delivery)
        if delivery is None:
            self._note_lost(entry, CLAIM_PASSED_ON)
            return False
        self._count_delivery(delivery)
        entry.delivery = delivery
        return True

    async def _end(
        self,
        entry: EntryInHand,
        context: HandlerContext,
        outcome: Settled | LetGo | Bury | HandBack,
    ) -> None:
        """End the work on an entry.

        One that is settled or handed back is in hand no more: the next heartbeat would miss it.
        """
        match outcome:
            case Settled():
                self._in_hand.remove(entry)
                self._breaker.report_success()
                SETTLED.labels(self._handler.role, outcome.value).inc()
                if outcome is not Settled.OK:
                    self._note_lost(entry, f"the result was {outcome.value} and changed nothing")
            case LetGo(why):
                self._note_lost(entry, why)
            case Bury():
                await self._bury(entry, context, outcome)
            case HandBack(why):
                self._count_retry("server")
                self._breaker.report_failure(why)
                self._in_hand.remove(entry)
                await self._in_hand.hand_back(entry.delivery)

    async def _bury(self, entry: EntryInHand, context: HandlerContext, burial: Bury) -> None:
        reason, error = burial.reason, burial.error
        try:
            settled = await self._handler.bury(entry.delivery, context, reason=reason, error=error)
        except Lost as lost:
            self._note_lost(entry, str(lost))
            return
        except Refused as refusal:
            log.error("cannot_bury", why=str(refusal), reason=reason, error=error)
            return
        self._in_hand.remove(entry)
        if settled is Settled.LOST:
            self._note_lost(entry, CLAIM_PASSED_ON)
        elif settled is None:
            log.warning("nothing_to_bury", reason=reason, error=error)
        else:
            BURIED.labels(self._handler.role, reason).inc()
            log.error("buried", reason=reason, error=error, deliveries=entry.delivery.number)

    def _count_delivery(self, delivery: Delivery) -> None:
        DELIVERIES.labels(self._handler.role, delivery.kind).inc()

    def _count_retry(self, reason: str) -> None:
        RETRIES.labels(self._handler.role, reason).inc()

    def _note_lost(self, entry: EntryInHand, why: str) -> None:
        if not entry.lost:
            entry.lost = True
            log.warning("claim_lost", why=why)
