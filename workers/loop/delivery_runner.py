"""Running the handler on one entry in hand, until the entry is settled, deferred or buried.

A failed try ends the work on an entry: the entry is deferred, so that it holds nothing that others
need while it waits. After `max_deliveries` failures the server is asked for the smallest answer. If
it answers, and not every session fails, the request is at fault and is buried; otherwise the entry
is deferred on. After twice as many failures it is buried whatever the server does, since the
server was usable before each try.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar, Unpack

import structlog

from common.backoff import jitter
from common.errors import BadEntry, Lost, Refused
from common.redis.link import Link
from common.settings import WorkerSettings
from common.status.worker_record import WorkerChanges
from common.transitions.claims import Failed, RetryRule, Settled
from workers.loop.breaker import FRESH_S, Breaker, BreakerState
from workers.loop.decisions import AwaitRedis, Bury, Decision, Fail, LetGo, decide
from workers.loop.handler import Delivery, Handler, HandlerContext
from workers.loop.in_hand import EntriesInHand, EntryInHand
from workers.loop.metrics import BURIED, DELIVERIES, RETRIES, SETTLED
from workers.loop.reader import Reader
from workers.loop.registration import Registration

Answer = TypeVar("Answer")

FIRST_RETRY_S: Final = 1.0
SAME_MOMENT_S: Final = 0.4
"""Requests that break off within this time may have been broken by the same cause."""

LONGEST_WISH_S: Final = 300.0
"""A server may wish for more (or for nonsense), but somebody waits for the answer. Not above
LONGEST_PAUSE of `common/lua/deferral.lua`."""

MOST_TRIES: Final = 2
"""The request is buried after so many times `max_deliveries` failures, whatever the server does."""

CLAIM_PASSED_ON: Final = "the claim passed to another worker"

log = structlog.get_logger(__name__)


class LoopContext:
    """The handler's view of the loop, while it works on one entry or starts."""

    def __init__(
        self,
        link: Link,
        registration: Registration,
        breaker: Breaker,
        entry: EntryInHand | None = None,
    ) -> None:
        self._link = link
        self._registration = registration
        self._breaker = breaker
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

    def note_answer(self) -> None:
        self._breaker.note_success()

    def update_record(self, **changes: Unpack[WorkerChanges]) -> None:
        self._registration.update(**changes)


class DeliveryRunner:
    """Runs the handler, and carries out what its errors mean."""

    def __init__(
        self,
        handler: Handler,
        in_hand: EntriesInHand,
        registration: Registration,
        breaker: Breaker,
        settings: WorkerSettings,
    ) -> None:
        self._handler = handler
        self._in_hand = in_hand
        self._registration = registration
        self._breaker = breaker
        self._settings = settings
        self._broken: list[tuple[float, str]] = []

    async def run(self, reader: Reader, entry: EntryInHand) -> None:
        """Work on an entry until it is no longer ours: settled, deferred, buried, handed back."""
        context = LoopContext(reader.link, self._registration, self._breaker, entry)
        DELIVERIES.labels(self._handler.role, entry.delivery.kind).inc()
        if entry.delivery.kind == "deferred" and not await self._is_server_usable(entry):
            return
        while isinstance(outcome := await self._try(entry.delivery, context), AwaitRedis):
            self._count_retry("redis")
            await reader.link.pause()
        await self._end(reader, entry, context, outcome)

    async def _is_server_usable(self, entry: EntryInHand) -> bool:
        """Return whether the server answers now; hand the entry back if not.

        Asked before a request that failed is tried again: if it fails once more, the server was not
        to blame.
        """
        error = await self._breaker.confirm(fresh_s=FRESH_S)
        if error is None:
            return True
        await self._hand_back(entry, str(error), failed=True)
        return False

    async def _try(self, delivery: Delivery, context: HandlerContext) -> Settled | Decision:
        """Run the handler once; return how it settled the entry, or what its error means."""
        if delivery.number > self._settings.max_deliveries:
            return Bury("max_deliveries", f"delivered {delivery.number} times, never settled")
        try:
            return await self._handler.handle(delivery, context)
        except Exception as error:
            decision = decide(error)
            if isinstance(decision, Fail) and decision.is_unexplained:
                log.exception("handler_failed", deliveries=delivery.number)
            return decision

    async def _end(
        self,
        reader: Reader,
        entry: EntryInHand,
        context: HandlerContext,
        outcome: Settled | LetGo | Bury | Fail,
    ) -> None:
        """End the work on an entry.

        One that is settled, deferred or handed back is in hand no more: the next heartbeat would
        miss it.
        """
        match outcome:
            case Settled():
                self._in_hand.remove(entry)
                SETTLED.labels(self._handler.role, outcome.value).inc()
                if outcome is not Settled.OK:
                    self._note_lost(entry, f"the result was {outcome.value} and changed nothing")
            case LetGo(why):
                self._note_lost(entry, why)
            case Bury():
                await self._bury(entry, context, outcome, entry.delivery.number)
            case Fail():
                await self._fail(reader, entry, context, outcome)

    async def _fail(
        self, reader: Reader, entry: EntryInHand, context: HandlerContext, failure: Fail
    ) -> None:
        """Hand the entry back if the server is to blame; otherwise count the failure."""
        if self._breaker.state is BreakerState.OPEN or (
            failure.blames_server and await self._breaker.confirm() is not None
        ):
            has_failed = entry.delivery.kind == "deferred"
            await self._hand_back(entry, failure.why, failed=has_failed)
            return
        shared = failure.broke_off and await self._is_shared(_session(entry.delivery))
        try:
            rule = self._rule(failure, shared=shared)
            failed = await self._handler.fail(entry.delivery, context, rule)
        except Lost as lost:
            self._note_lost(entry, str(lost))
            return
        except (BadEntry, Refused):  # nothing to count it for
            failed = Failed(self._most_failures, None)
        if isinstance(failed, Settled):
            self._in_hand.remove(entry)
            self._note_lost(entry, f"the failure was {failed.value} and changed nothing")
        elif failed.pause_s is None:
            await self._bury_or_hand_back(entry, context, failure, failed.failures)
        else:
            self._in_hand.remove(entry)
            reader.note_failure(entry.delivery)
            self._count_retry("failed" if failure.is_unexplained else "transient")
            log.warning(
                "trying_again",
                why=failure.why,
                in_s=round(failed.pause_s, 1),
                failures=failed.failures,
            )
            await self._breaker.note_failure(_session(entry.delivery))

    async def _bury_or_hand_back(
        self, entry: EntryInHand, context: HandlerContext, failure: Fail, failures: int
    ) -> None:
        """Bury an entry that failed too often, unless the server fails for others as well."""
        if failures < self._most_failures and (
            await self._breaker.confirm() is not None or self._breaker.fails_for_all
        ):
            await self._hand_back(entry, failure.why, failed=True)
            return
        tries = entry.delivery.number - 1 + failures
        await self._bury(entry, context, Bury("failed", failure.why), tries)

    async def _hand_back(self, entry: EntryInHand, why: str, *, failed: bool) -> None:
        """Let other workers take the entry, uncounted.

        One that has failed before is deferred instead, so that its next worker asks the server
        first; for longer if the server is busy.
        """
        self._count_retry("server")
        if self._breaker.state is not BreakerState.OPEN:
            pause_s = self._settings.backoff_max_s
        else:
            pause_s = FIRST_RETRY_S if failed else 0.0
        log.debug("handing_back", why=why, in_s=pause_s)
        self._in_hand.remove(entry)
        await self._in_hand.hand_back(entry.delivery, pause_s=pause_s)

    async def _bury(
        self, entry: EntryInHand, context: HandlerContext, burial: Bury, tries: int
    ) -> None:
        reason, error = burial.reason, burial.error
        try:
            delivery = replace(entry.delivery, number=tries)
            settled = await self._handler.bury(delivery, context, reason=reason, error=error)
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
            log.error("buried", reason=reason, error=error, tries=tries)

    @property
    def _most_failures(self) -> int:
        return MOST_TRIES * self._settings.max_deliveries

    async def _is_shared(self, session: str) -> bool:
        """Return whether requests of other sessions broke off at the same moment as this one's.

        One of them may have brought the server down, or something else did.
        """
        now = asyncio.get_running_loop().time()
        self._broken = [(at, who) for at, who in self._broken if now - at < SAME_MOMENT_S]
        self._broken.append((now, session))
        await asyncio.sleep(SAME_MOMENT_S / 2)
        return any(who != session and abs(at - now) < SAME_MOMENT_S for at, who in self._broken)

    def _rule(self, failure: Fail, *, shared: bool) -> RetryRule:
        # in this order, for a wish that is no number
        wish_s = None if failure.wish_s is None else min(LONGEST_WISH_S, failure.wish_s)
        return RetryRule(
            limit=self._settings.max_deliveries,
            # spread, so that requests that broke together do not meet again
            first_pause_s=jitter(FIRST_RETRY_S),
            longest_pause_s=jitter(self._settings.backoff_max_s),
            wish_s=wish_s,
            patience_s=failure.patience_s,
            shared=shared,
        )

    def _count_retry(self, reason: str) -> None:
        RETRIES.labels(self._handler.role, reason).inc()

    def _note_lost(self, entry: EntryInHand, why: str) -> None:
        if not entry.lost:
            entry.lost = True
            log.warning("claim_lost", why=why)


def _session(delivery: Delivery) -> str:
    """Return the session that an entry names, in both kinds of stream."""
    return delivery.fields.get(b"session", b"").decode("utf-8", "replace")
