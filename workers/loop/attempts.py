"""Working on one entry: what the handler raises decides what becomes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, Unpack

import structlog
from redis.exceptions import RedisClusterException, RedisError

from common.backoff import Backoff
from common.errors import (
    BadEntry,
    BadInput,
    Lost,
    NewerSchema,
    Permanent,
    Refused,
    Transient,
)
from common.redis.connection import is_unusable
from common.redis.link import Link
from common.settings import WorkerSettings
from common.status.worker_record import WorkerChanges
from common.transitions.claims import Settled
from workers.loop.breaker import Breaker
from workers.loop.handler import Desk, Handler, Work
from workers.loop.in_hand import Hand, Held
from workers.loop.metrics import BURIED, DELIVERIES, RETRIES, SETTLED, BurialReason
from workers.loop.reader import Reader
from workers.loop.registration import Registration

Answer = TypeVar("Answer")

FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 300.0
"""A server may wish for more (or for nonsense): somebody waits for the answer."""

REDIS_ERRORS: Final = (RedisError, RedisClusterException)

log = structlog.get_logger(__name__)


class LoopDesk:
    """What the handler sees of the loop while it works on one entry."""

    def __init__(self, link: Link, registration: Registration, held: Held | None = None) -> None:
        self._link = link
        self._registration = registration
        self._held = held

    async def lasting(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        if self._held is None:
            return await self._link.lasting(transition)
        if self._held.lost:
            raise Lost("the claim passed to another worker")
        self._held.in_transition = True
        try:
            return await self._link.lasting(transition)
        finally:
            self._held.in_transition = False

    async def once(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        return await self._link.call(transition)

    def update_record(self, **changes: Unpack[WorkerChanges]) -> None:
        self._registration.update(**changes)


class Attempts:
    """Tries, tries again, buries, gives back."""

    def __init__(
        self,
        handler: Handler,
        hand: Hand,
        link: Link,
        registration: Registration,
        breaker: Breaker,
        settings: WorkerSettings,
    ) -> None:
        self._handler = handler
        self._hand = hand
        self._link = link
        self._registration = registration
        self._breaker = breaker
        self._settings = settings

    async def run(self, reader: Reader, held: Held) -> None:
        """Until the entry is settled, buried, given back or another's."""
        desk = LoopDesk(self._link, self._registration, held)
        limit = self._settings.max_deliveries
        pauses = Backoff(FIRST_RETRY_S, self._settings.backoff_max_s)
        self._count_delivery(held.work)
        while True:
            work = held.work
            if work.deliveries > limit:
                await self._bury(
                    held,
                    desk,
                    "max_deliveries",
                    f"delivered {work.deliveries} times, never settled",
                )
                return
            try:
                settled = await self._handler.handle(work, desk)
            except Lost as error:
                self._say_lost(held, str(error))
                return
            except (Permanent, BadEntry, BadInput, Refused) as error:
                await self._bury(held, desk, _reason(error), str(error))
                return
            except Transient as error:
                if error.opens_breaker:
                    self._count_retry("server")
                    self._breaker.failed(str(error))
                    self._hand.release(held)  # or the next heartbeat would miss it
                    await self._hand.give_back(work)
                    return
                self._count_retry("transient")
                pause_s = pauses.next_pause()
                # in this order, for a wish that is no number
                wait_s = min(LONGEST_RETRY_S, error.retry_after or pause_s)
                log.warning("trying_again", why=str(error), in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
            except Exception as error:
                # an OSError of the handler's own is no sign of Redis
                if isinstance(error, REDIS_ERRORS) and is_unusable(error):
                    self._count_retry("redis")
                    await self._link.pause()
                    continue
                log.exception("handler_failed", deliveries=work.deliveries)
                if work.deliveries >= limit:
                    await self._bury(held, desk, "failed", f"{type(error).__name__}: {error}")
                    return
                self._count_retry("failed")
                await asyncio.sleep(pauses.next_pause())
                again = await self._link.lasting(reader.again, work)
                if again is None:
                    self._say_lost(held, "the claim passed to another worker")
                    return
                self._count_delivery(again)
                held.work = again
            else:
                self._hand.release(held)  # before the next heartbeat, which would miss it
                self._breaker.succeeded()
                SETTLED.labels(self._handler.role, settled.value).inc()
                if settled is not Settled.OK:
                    self._say_lost(held, f"the result was {settled.value} and changed nothing")
                return

    def _count_delivery(self, work: Work) -> None:
        DELIVERIES.labels(self._handler.role, work.kind).inc()

    def _count_retry(self, reason: str) -> None:
        RETRIES.labels(self._handler.role, reason).inc()

    def _say_lost(self, held: Held, why: str) -> None:
        if not held.lost:
            held.lost = True
            log.warning("claim_lost", why=why)

    async def _bury(self, held: Held, desk: Desk, reason: BurialReason, error: str) -> None:
        work = held.work
        try:
            settled = await self._handler.bury(work, desk, reason=reason, error=error)
        except Lost as lost:
            self._say_lost(held, str(lost))
            return
        except Refused as refusal:
            log.error("cannot_bury", why=str(refusal), reason=reason, error=error)
            return
        self._hand.release(held)
        if settled is Settled.LOST:
            self._say_lost(held, "the claim passed to another worker")
            return
        if settled is None:
            log.warning("nothing_to_bury", reason=reason, error=error)
            return
        BURIED.labels(self._handler.role, reason).inc()
        log.error("buried", reason=reason, error=error, deliveries=work.deliveries)


def _reason(error: Permanent | BadEntry | BadInput | Refused) -> BurialReason:
    match error:
        case Permanent():
            return "permanent"
        case Refused():
            return "refused"
        case NewerSchema():
            return "newer_schema"
        case BadInput():
            return "bad_audio"
        case _:
            return "bad_entry"
