"""The LLM worker's handler: takes the turns that are ready, answers them, settles them.

How one wake-up goes: `handle` takes an attempt, `_answer` asks for a reply (`request.py`) and
publishes it (`publisher.py`), then ends the attempt's turns. Where the server refuses the turns as
they were taken, `handle` takes them again: without history, or one turn alone.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import structlog

from common.errors import BadEntry, Permanent, Refused
from common.keys import LLM_GROUP, Shard, check_session_id
from common.redis.store import Store, ms
from common.settings import LlmSettings
from common.telemetry.tracing import OFF, Recorder
from common.traceparent import trace_id
from common.transitions.answering import (
    Attempt,
    NotTaken,
    bury_turn,
    drop_wake_up,
    fail_turn,
    settle_turn,
    take_turn,
)
from common.transitions.claims import Failed, RetryRule, Settled
from common.validation import check_version
from workers.llm.answers.finished import Finished
from workers.llm.attempt_traces import AttemptTraces
from workers.llm.meanings.errors import ContextTooLong, StartAnew, WindowFull
from workers.llm.persona import Personas
from workers.llm.prompt import build_prompt, round_messages
from workers.llm.publisher import NewerSpeech, ReplyPublisher
from workers.llm.request import Requests
from workers.llm.server.llm_server import LlmServer
from workers.loop.breaker import SESSIONS_IN_A_ROW
from workers.loop.handler import Delivery, HandlerContext

WAKE_UP_SCHEMA: Final = 1

INTERRUPTED: Final = "interrupted"

UNTAKEN: Final = {
    NotTaken.NOTHING: Settled.OK,
    NotTaken.STALE: Settled.STALE,
    NotTaken.LOST: Settled.LOST,
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """How much an attempt may take: at most `turns` turns, with at most `history` messages."""

    turns: int
    history: int

    def narrow(self, refusal: Permanent, taken: int) -> "Scope | None":
        """Return what to take after a refusal of `taken` turns; None if nothing can be left out.

        Leaves out the history, if the window filled up in mid-reply; then all turns but the
        first, so that a bad turn takes no neighbours with it.
        """
        if isinstance(refusal, WindowFull) and self.history:
            return replace(self, history=0)
        if taken > 1:
            return replace(self, turns=1)
        return None


class LlmHandler:
    """Answers one session's turns per entry (a wake-up).

    Raises BadSetting for a server address, a key or a persona that cannot be used.
    """

    role = "llm"
    group = LLM_GROUP
    sessions_in_a_row = SESSIONS_IN_A_ROW
    grace_s = 0.0  # all workers have the same server

    def __init__(
        self,
        store: Store,
        settings: LlmSettings,
        *,
        traces: Recorder = OFF,
    ) -> None:
        self.concurrency = settings.concurrency
        self._store = store
        self._settings = settings
        self._personas = Personas(settings)
        self._server = LlmServer(settings)
        self._requests = Requests(self._server)
        self._traces = AttemptTraces(traces, time.monotonic)

    def streams(self, shard: Shard) -> Sequence[str]:
        """Return the stream of wake-ups."""
        return [shard.turns]

    async def start(self, context: HandlerContext) -> None:
        """Get ready. The LLM server need not be there yet."""
        self._server.warm()

    async def probe(self) -> None:
        """Raise Transient with the reason while the LLM server is unusable."""
        await self._server.probe()

    async def ask_smallest(self) -> None:
        """Ask for a reply of one token; raises Transient with the reason if there is none."""
        await self._server.ask_smallest()

    async def close(self) -> None:
        """Close the connections to the LLM server."""
        await self._server.close()

    async def handle(self, delivery: Delivery, context: HandlerContext) -> Settled:
        """Answer everything that is ready in the session that the entry names."""
        session = session_of(delivery.fields)
        # one by one if one of them may be what kills workers: it is buried without the others
        max_turns = 1 if delivery.is_suspicious else self._settings.max_merge
        scope = Scope(max_turns, 2 * self._personas.most_rounds)
        taken = 0
        while isinstance(attempt := await self._take(delivery, context, session, scope), Attempt):
            # after newer speech it is worth asking anew only as long as the attempt grows
            may_grow = taken < len(attempt.turns) < scope.turns
            taken = len(attempt.turns)
            try:
                with self._traces.trace(attempt):
                    return await self._answer(delivery, context, attempt, may_grow=may_grow)
            except NewerSpeech:
                log.info("merging", session=session, turn=attempt.turns[-1].turn)
            except StartAnew:
                log.info("thoughts_shown", session=session, turn=attempt.turns[-1].turn)
            except Permanent as refusal:
                narrower = scope.narrow(refusal, taken)
                if narrower is None:
                    if isinstance(refusal, ContextTooLong):
                        await self._check_system_prompt(attempt)
                    raise
                singly = narrower.turns < scope.turns
                log.warning(
                    "answering_singly" if singly else "answering_without_history",
                    session=session,
                    turns=taken,
                    why=str(refusal),
                )
                scope = narrower
        return UNTAKEN[attempt]

    async def fail(
        self, delivery: Delivery, context: HandlerContext, rule: RetryRule
    ) -> Failed | Settled:
        """Count a failed attempt at the session's next turn, and defer the wake-up.

        Raises BadEntry if it names no session.
        """
        session = named_session(delivery.fields)
        return await context.retry_until_answered(
            lambda: fail_turn(self._store, delivery.claim, session, rule=rule)
        )

    async def bury(
        self, delivery: Delivery, context: HandlerContext, *, reason: str, error: str
    ) -> Settled | None:
        """Bury the session's next turn: only that one, whatever else is ready by now.

        Deletes a wake-up that names no session, or one whose keys cannot be read: `tend` wakes the
        session that was meant, or wakes it when its keys are in order again.
        """
        try:
            session = named_session(delivery.fields)
            attempt = await self._take(delivery, context, session, Scope(1, 0), expiring=False)
        except (BadEntry, Refused):
            return await context.retry_until_answered(
                lambda: drop_wake_up(self._store, delivery.claim)
            )
        if isinstance(attempt, NotTaken):
            return Settled.LOST if attempt is NotTaken.LOST else None
        buried = await context.retry_until_answered(
            lambda: bury_turn(
                self._store,
                attempt,
                reason=reason,
                error=error,
                deliveries=delivery.number,
                worker=delivery.claim.consumer,
            )
        )
        return None if buried is Settled.STALE else buried

    async def _check_system_prompt(self, attempt: Attempt) -> None:
        """Raise Misconfigured where the persona's prompt, not the question, is too long."""
        with suppress(Permanent):
            await self._requests.check_system_prompt(self._personas.get(attempt.persona))

    async def _take(
        self,
        delivery: Delivery,
        context: HandlerContext,
        session: str,
        scope: Scope,
        *,
        expiring: bool = True,
    ) -> Attempt | NotTaken:
        """Begin an attempt; `expiring`: turns that are too old end as expired."""
        return await context.retry_until_answered(
            lambda: take_turn(
                self._store,
                delivery.claim,
                session,
                token=uuid4().hex,
                max_merge=scope.turns,
                history=scope.history,
                max_answer_age_s=self._settings.max_answer_age_s if expiring else 0,
            )
        )

    async def _answer(
        self, delivery: Delivery, context: HandlerContext, attempt: Attempt, *, may_grow: bool
    ) -> Settled:
        """Ask for a reply, publish and settle it.

        Raises NewerSpeech, StartAnew, Lost, Transient and Permanent.
        """
        persona = self._personas.get(attempt.persona)
        prompt = build_prompt(persona, attempt.history, (turn.text for turn in attempt.turns))
        publisher = ReplyPublisher(
            self._store,
            context,
            attempt,
            interval_s=self._settings.delta_interval_ms / 1000,
            may_grow=may_grow,
        )
        reply = await publisher.publish(self._requests.ask(prompt, persona))
        context.note_answer()
        finished = reply.finished or Finished(INTERRUPTED, self._server.model)
        settled = await context.retry_until_answered(
            lambda: settle_turn(
                self._store,
                attempt,
                text=reply.text,
                detail=_detail(attempt, finished, worker=delivery.claim.consumer),
                first_token_ms=_ms_since(reply.first_token_at),
                last_token_ms=ms(time.monotonic() - reply.ended_at),
                keep=2 * persona.rounds,
                messages=round_messages(prompt.question, reply.text),
            )
        )
        log.info(
            "answered",
            session=attempt.session,
            turn=attempt.turns[-1].turn,
            utterance=attempt.turns[-1].utterance,
            turns=len(attempt.turns),
            attempt=attempt.number,
            finish_reason=finished.finish_reason,
            settled=settled.value,
        )
        return settled


def session_of(fields: Mapping[bytes, bytes]) -> str:
    """Return the session that a wake-up names; raises BadEntry with what is wrong with it."""
    version = fields.get(b"v", b"missing").decode("utf-8", "replace")
    check_version("the wake-up", version, WAKE_UP_SCHEMA)
    return named_session(fields)


def named_session(fields: Mapping[bytes, bytes]) -> str:
    """Return the same, whatever else may be wrong with the wake-up."""
    return check_session_id(fields.get(b"session", b"").decode("utf-8", "replace"))


def _detail(attempt: Attempt, finished: Finished, *, worker: str) -> dict[str, Any]:
    """Return further fields of the `reply` event."""
    detail: dict[str, Any] = {
        "model": finished.model,
        "finish_reason": finished.finish_reason,
        "interrupted": finished.finish_reason == INTERRUPTED,
        "worker": worker,
        "trace": trace_id(attempt.turns[-1].traceparent),
    }
    further = {"usage": finished.usage, "reasoning": finished.reasoning}
    return detail | {name: value for name, value in further.items() if value}


def _ms_since(moment: float | None) -> int | None:
    return None if moment is None else ms(time.monotonic() - moment)
