"""LLM workers of the model: a reply names the texts that were seen and the history behind them.

So a reader of the results can tell whether a turn was settled that no attempt saw, whether one
was answered from a stale history, and who wrote which delta.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from common.errors import Refused
from common.keys import SESSION_ID
from common.transitions.answering import (
    Attempt,
    NotTaken,
    bury_turn,
    delta,
    drop_wake_up,
    fail_turn,
    newer_speech,
    settle_turn,
    take_turn,
)
from common.transitions.claims import Claim, Failed, Settled
from tests.model.actors import ReplyLost
from tests.model.simulation import SESSIONS, SHARD
from tests.model.workers import Fields, Worker

KEEP: Final = 1_000
ENTRY: Final = re.compile(r"[0-9]{1,18}-[0-9]{1,18}\Z")


def reply_to(history: int, texts: list[str]) -> str:
    """The reply of the model's LLM after `history` messages."""
    return f"{history}:{'+'.join(texts)}"


class LlmWorker(Worker):
    """Answers one wake-up at a time."""

    streams = (SHARD.turns,)

    async def handle(self, claim: Claim, fields: Fields) -> None:
        session = fields.get(b"session", b"").decode("utf-8", "replace")
        if not SESSION_ID.match(session):
            await self.call_fenced(claim, self.drop)
            return
        # a wake-up that is not the session's seldom meets a worker that fails before it has taken
        self.simulation.meddle(session)
        fails = self.simulation.fails_now(0.7 if b"foreign" in fields else 0.1)
        try:
            await (self.fail if fails else self.answer)(claim, session)
        except Refused as refusal:
            self.simulation.refused(refusal)
            await self.give_up(claim, session)

    async def answer(self, claim: Claim, session: str) -> None:
        simulation = self.simulation
        attempt = await self.take(claim, session)
        if attempt is None:
            return
        if simulation.likely(0.4) and await self.speech_waits(attempt, claim):
            attempt = await self.take(claim, session)
            if attempt is None:
                return
        for index in range(simulation.rng.choice((0, 0, 1, 2))):
            simulation.meddle(session)
            await self.delta(attempt, claim, index)
        if simulation.likely(simulation.chances.abandon):
            return
        if simulation.fails_now():
            await self.fail(claim, session)
            return
        # a session that cannot be read must be met at this step as well
        simulation.meddle(session)
        if simulation.likely(simulation.chances.bury * (1 if session in SESSIONS else 3)):
            simulation.truth.buried.update(turn.utterance for turn in attempt.turns)
            await self.end(attempt, self.bury)
        else:
            await self.end(attempt, self.settle)

    async def give_up(self, claim: Claim, session: str) -> None:
        """Bury the turn; if the keys of the session cannot be read, only the wake-up goes."""
        try:
            attempt = await self.take(claim, session)
            if attempt is not None:
                self.simulation.truth.buried.update(turn.utterance for turn in attempt.turns)
                await self.end(attempt, self.bury)
        except Refused as refusal:
            self.simulation.refused(refusal)
            await self.call_fenced(claim, self.drop)

    async def drop(self, claim: Claim, held: bool) -> None:
        dropped = await drop_wake_up(self.simulation.store, claim)
        self.simulation.answered("drop_wake_up", dropped.value, f"{claim.entry} by {self.name}")
        self.simulation.check(
            (dropped is Settled.OK) == held and not self.holds(claim),
            f"drop_wake_up answered {dropped} when the claim was held: {held}",
        )

    async def take(self, claim: Claim, session: str) -> Attempt | None:
        simulation = self.simulation
        token = simulation.fresh("token")

        async def fenced(claim: Claim, held: bool) -> Attempt | NotTaken:
            named = self.is_wake_up(session, claim.entry)
            taken = await take_turn(
                simulation.store,
                claim,
                session,
                token=token,
                max_merge=simulation.rng.choice((1, 2, 8)),
                history=KEEP,
                max_answer_age_s=simulation.max_answer_age_s,
            )
            about = f"{session} {claim.entry} by {self.name}"
            if isinstance(taken, NotTaken):
                simulation.answered("take_turn", taken.value, about)
            else:
                about += f" {token}: {[turn.turn for turn in taken.turns]}"
                simulation.check(
                    len(taken.turns) == 1 or not any(turn.failures for turn in taken.turns),
                    f"a turn that failed was taken together with others: {taken.turns}",
                )
                simulation.answered("take_turn", "ok", about)
            simulation.check(
                (taken is NotTaken.LOST) == (not held)
                and (taken is NotTaken.STALE) == (held and not named),
                f"take_turn answered {taken} when the claim was held: {held},"
                f" and the session named the wake-up: {named}",
            )
            return taken

        taken = await self.call_fenced(claim, fenced)
        return None if isinstance(taken, NotTaken) else taken

    async def fail(self, claim: Claim, session: str) -> None:
        """End a failed try, or an attempt that failed; bury the turn if it was the last one."""
        simulation = self.simulation

        async def fenced(claim: Claim, held: bool) -> Failed | Settled:
            named = None
            if session in SESSIONS:
                named = self.is_wake_up(session, claim.entry) and simulation.head_is_ready(session)
            failed = await fail_turn(simulation.store, claim, session, rule=self.retry_rule())
            self.check_failed("fail_turn", claim, held, named, failed)
            token = simulation.field(session, "token")
            simulation.check(
                token is None or not isinstance(failed, Failed),
                f"fail_turn answered {failed} and left a token of {session} in force",
            )
            return failed

        failed = await self.call_fenced(claim, fenced)
        if not (isinstance(failed, Failed) and failed.pause_s is None):
            return
        again = await self.take(claim, session)
        if again is not None:
            self.simulation.truth.buried.update(turn.utterance for turn in again.turns)
            await self.end(again, self.bury)

    def is_wake_up(self, session: str, entry: str) -> bool:
        return self.simulation.field(session, "wake") == entry.encode()

    def has_token(self, attempt: Attempt) -> bool:
        return self.simulation.field(attempt.session, "token") == attempt.token.encode()

    async def speech_waits(self, attempt: Attempt, claim: Claim) -> bool:
        answer = await self.simulation.call(partial(newer_speech, self.simulation.store, attempt))
        return answer.newer_speech

    async def delta(self, attempt: Attempt, claim: Claim, index: int) -> None:
        async def fenced() -> None:
            held = self.has_token(attempt)
            answer = await delta(self.simulation.store, attempt, index, attempt.token)
            about = f"{attempt.session} {attempt.token} by {self.name}"
            self.simulation.answered("delta", "ok" if answer.held else "lost", about)
            self.simulation.check(
                answer.held == held,
                f"a delta answered held={answer.held} when the token was in force: {held}",
            )

        await self.simulation.call(fenced)

    async def end(self, attempt: Attempt, what: Callable[[Attempt], Awaitable[Settled]]) -> None:
        simulation = self.simulation

        async def fenced() -> None:
            held = self.has_token(attempt)
            wake = (simulation.field(attempt.session, "wake") or b"").decode("utf-8", "replace")
            settled = await what(attempt)
            turns = [turn.turn for turn in attempt.turns]
            about = f"{attempt.session} {attempt.token} {turns} by {self.name}"
            simulation.answered(f"{what.__name__}_turn", settled.value, about)
            # with damaged counters the turns that were taken may be gone
            ended = settled is Settled.OK or (held and attempt.session not in SESSIONS)
            simulation.check(
                ended == held
                and not (held and ENTRY.match(wake) and simulation.pending(SHARD.turns, wake)),
                f"{what.__name__} answered {settled.value} when the token was in force: {held}",
            )

        try:
            await simulation.call(fenced)
        except ReplyLost:
            await simulation.call(fenced)

    async def settle(self, attempt: Attempt) -> Settled:
        texts = [turn.text for turn in attempt.turns]
        reply = reply_to(len(attempt.history), texts)
        return await settle_turn(
            self.simulation.store,
            attempt,
            text=reply,
            detail={"model": attempt.token},
            first_token_ms=0,
            keep=KEEP,
            messages=[
                {"role": "user", "content": "+".join(texts)},
                {"role": "assistant", "content": reply},
            ],
        )

    async def bury(self, attempt: Attempt) -> Settled:
        return await bury_turn(
            self.simulation.store,
            attempt,
            reason="poison",
            error="it cannot be answered",
            deliveries=1,
            worker=self.consumer,
        )
