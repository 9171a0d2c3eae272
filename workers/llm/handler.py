"""The LLM worker's handler: takes the turns that are ready, answers them, settles them."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import structlog

from common.errors import BadEntry, Lost, Permanent
from common.keys import LLM_GROUP, Shard
from common.redis.failures import is_unusable
from common.redis.store import Store, ms
from common.settings import LlmSettings
from common.telemetry.tracing import OFF, Recorder
from common.traceparent import trace_of
from common.transitions.answering import (
    Attempt,
    DeltaAnswer,
    NotTaken,
    bury_turn,
    delta,
    newer_speech,
    settle_turn,
    take_turn,
)
from common.transitions.claims import Settled
from workers.llm.attempt_traces import AttemptTraces
from workers.llm.batching import coalesced
from workers.llm.errors import WindowFull
from workers.llm.persona import Personas
from workers.llm.prompt import Prompt, history_of, prompt_of
from workers.llm.request import Asking
from workers.llm.server import Finished, LlmServer
from workers.llm.wake_up import named_session, session_of
from workers.llm.window import Window
from workers.loop.handler import Desk, Work

# An empty reply is asked for again, with luck (the temperature) it differs; then it stands.
EMPTY_TRIES: Final = 2

INTERRUPTED: Final = "interrupted"

# A session that no wake-up is ever noted for: `take_turn` removes the entry as stale.
NO_SESSION: Final = "not-a-wake-up"

UNTAKEN: Final = {
    NotTaken.NOTHING: Settled.OK,
    NotTaken.STALE: Settled.STALE,
    NotTaken.LOST: Settled.LOST,
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply as far as it was published. Times by the monotonic clock, s."""

    text: str
    finished: Finished
    first_token_at: float | None
    over_at: float

    @property
    def interrupted(self) -> bool:
        return self.finished.finish_reason == INTERRUPTED


class Overtaken(Exception):
    """Newer speech came before the first word of the reply: answer both as one."""


class LlmHandler:
    """Answers one session's turns per entry (a wake-up).

    Raises BadSetting for a server address, a key or a persona that cannot be used.
    """

    role = "llm"
    group = LLM_GROUP

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
        self._window = Window(self._server)
        self._traces = AttemptTraces(traces, time.monotonic)

    def streams(self, shard: Shard) -> Sequence[str]:
        """The wake-ups."""
        return [shard.turns]

    async def start(self, desk: Desk) -> None:
        """Get ready. The LLM server need not be there yet."""
        self._server.warm()

    async def probe(self) -> None:
        """Raises Transient with a sentence while the LLM server is unusable."""
        await self._server.probe()

    async def close(self) -> None:
        """Close the connections to the LLM server."""
        await self._server.close()

    async def handle(self, work: Work, desk: Desk) -> Settled:
        """Answer everything that is ready in the session that the entry names."""
        session = session_of(work.fields)
        # one by one if one of them may be what kills workers: it is buried without the others
        merge = 1 if work.is_suspicious else self._settings.max_merge
        history = 2 * self._personas.most_rounds
        turns = 0
        while True:
            attempt = await self._take(work, desk, session, merge, history)
            if isinstance(attempt, NotTaken):
                return UNTAKEN[attempt]
            # asking anew is worth it only as long as it makes the attempt grow
            may_grow = turns < len(attempt.turns) < merge
            turns = len(attempt.turns)
            try:
                with self._traces.of(attempt):
                    return await self._answer(work, desk, attempt, may_grow=may_grow)
            except Overtaken:
                log.info("merging", session=session, turn=attempt.turns[-1].turn)
            except Permanent as error:
                if history and isinstance(error, WindowFull):
                    log.warning("answering_without_history", session=session, why=str(error))
                    history = 0
                elif turns > 1:
                    log.warning("answering_singly", session=session, turns=turns, why=str(error))
                    merge = 1
                else:
                    raise

    async def bury(self, work: Work, desk: Desk, *, reason: str, error: str) -> Settled | None:
        """Give the session's next turn up: that one only, whatever else is ready by now.

        A wake-up that names no session is deleted: there is no turn in it, and `tend` wakes whom
        it meant.
        """
        try:
            session = named_session(work.fields)
        except BadEntry:
            answer = await desk.lasting(
                lambda: take_turn(
                    self._store, work.claim, NO_SESSION, token=uuid4().hex, max_merge=1, history=0
                )
            )
            return Settled.LOST if answer is NotTaken.LOST else Settled.OK
        attempt = await self._take(work, desk, session, 1, 0, expiring=False)
        if isinstance(attempt, NotTaken):
            return Settled.LOST if attempt is NotTaken.LOST else None
        buried = await desk.lasting(
            lambda: bury_turn(
                self._store,
                attempt,
                reason=reason,
                error=error,
                deliveries=work.deliveries,
                worker=work.claim.consumer,
            )
        )
        return None if buried is Settled.STALE else buried

    async def _take(
        self,
        work: Work,
        desk: Desk,
        session: str,
        merge: int,
        history: int,
        *,
        expiring: bool = True,
    ) -> Attempt | NotTaken:
        return await desk.lasting(
            lambda: take_turn(
                self._store,
                work.claim,
                session,
                token=uuid4().hex,
                max_merge=merge,
                history=history,
                max_answer_age_s=self._settings.max_answer_age_s if expiring else 0,
            )
        )

    async def _answer(self, work: Work, desk: Desk, attempt: Attempt, *, may_grow: bool) -> Settled:
        persona = self._personas.named(attempt.persona)
        prompt = prompt_of(persona, attempt.history, (turn.text for turn in attempt.turns))
        for _ in range(EMPTY_TRIES):
            asking = Asking(self._server, self._window, persona, prompt)
            draft = await self._draft(desk, attempt, asking, may_grow=may_grow)
            if draft.text:
                break
            log.warning("empty_reply", session=attempt.session, turn=attempt.turns[-1].turn)
        settled = await desk.lasting(lambda: self._settle(work, attempt, persona, prompt, draft))
        log.info(
            "answered",
            session=attempt.session,
            turn=attempt.turns[-1].turn,
            utterance=attempt.turns[-1].utterance,
            turns=len(attempt.turns),
            attempt=attempt.number,
            finish_reason=draft.finished.finish_reason,
            settled=settled.value,
        )
        return settled

    async def _draft(
        self, desk: Desk, attempt: Attempt, asking: Asking, *, may_grow: bool
    ) -> Draft:
        """Have the server answer, and publish what it says as it comes.

        Raises Overtaken, Lost, Transient and Permanent; whatever ends it closes the stream.
        """
        interruptible = attempt.turns[-1].interrupt
        first_token_at = None
        published: list[str] = []
        interval_s = self._settings.delta_interval_ms / 1000
        async with aclosing(coalesced(asking.pieces(), interval_s)) as batches:
            async for text in batches:
                if first_token_at is None:
                    first_token_at = time.monotonic()
                    if interruptible and may_grow and await self._newer(desk, attempt):
                        raise Overtaken
                newer = await self._publish(desk, attempt, len(published), text)
                published.append(text)
                if newer and interruptible and asking.finished is None:
                    finished = Finished(INTERRUPTED, self._server.model)
                    return Draft("".join(published), finished, first_token_at, time.monotonic())
        assert asking.finished is not None, "a stream that does not raise ends with its result"
        return Draft("".join(published), asking.finished, first_token_at, time.monotonic())

    async def _newer(self, desk: Desk, attempt: Attempt) -> bool:
        """Whether newer speech waits already; raises Lost."""
        return _heard(await _unless_away(desk, lambda: newer_speech(self._store, attempt)))

    async def _publish(self, desk: Desk, attempt: Attempt, index: int, text: str) -> bool:
        """Send a delta; whether newer speech waits. Raises Lost."""
        return _heard(await _unless_away(desk, lambda: delta(self._store, attempt, index, text)))

    async def _settle(
        self, work: Work, attempt: Attempt, persona: LlmSettings, prompt: Prompt, draft: Draft
    ) -> Settled:
        finished = draft.finished
        detail: dict[str, Any] = {
            "model": finished.model,
            "finish_reason": finished.finish_reason,
            "interrupted": draft.interrupted,
            "worker": work.claim.consumer,
            "trace": trace_of(attempt.turns[-1].traceparent),
        }
        if finished.usage is not None:
            detail["usage"] = finished.usage
        since_s = None if draft.first_token_at is None else time.monotonic() - draft.first_token_at
        return await settle_turn(
            self._store,
            attempt,
            text=draft.text,
            detail=detail,
            first_token_ms=None if since_s is None else ms(since_s),
            last_token_ms=ms(time.monotonic() - draft.over_at),
            keep=2 * persona.rounds,
            messages=history_of(prompt.question, draft.text),
        )


def _heard(answer: DeltaAnswer) -> bool:
    if not answer.held:
        raise Lost("the session's turns are being answered by another attempt")
    return answer.newer_speech


async def _unless_away(desk: Desk, ask: Callable[[], Awaitable[DeltaAnswer]]) -> DeltaAnswer:
    """A delta's answer. With Redis away there is none: deltas are a convenience, the reply is
    settled when Redis is back."""
    try:
        return await desk.once(ask)
    except Exception as error:
        if not is_unusable(error):
            raise
        log.debug("delta_left_out", why=str(error))
        return DeltaAnswer(held=True, newer_speech=False)
