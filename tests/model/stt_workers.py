"""STT workers of the model: they transcribe by reading the words from the audio."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from common.errors import BadEntry, Refused
from common.keys import SESSION_ID, UTTERANCE_ID
from common.transitions.claims import Claim, Failed, Settled
from common.transitions.transcribing import bury_utterance, fail_utterance, settle_utterance
from common.utterance import Utterance
from tests.model.actors import ReplyLost
from tests.model.simulation import SESSIONS, SHARD
from tests.model.workers import Fields, Worker

MAX_AUDIO: Final = 1_000
TURN: Final = re.compile(r"[1-9][0-9]{0,14}\Z", re.ASCII)


class SttWorker(Worker):
    """Transcribes by reading the words from the audio."""

    streams = (SHARD.utterances, SHARD.recordings)

    async def handle(self, claim: Claim, fields: Fields) -> None:
        try:
            utterance = Utterance.from_fields(fields, max_audio=MAX_AUDIO)
        except BadEntry as error:
            self.simulation.note(f"  {error}")
            await self.end(claim, as_far_as_usable(fields), self.bury)
            return
        try:
            await self.transcribe(claim, utterance)
        except Refused as refusal:
            self.simulation.refused(refusal)
            await self.end(claim, utterance, self.bury)

    async def transcribe(self, claim: Claim, utterance: Utterance) -> None:
        simulation = self.simulation
        simulation.meddle(utterance.session)
        what = self.settle
        if simulation.fails_now() and not await self.fail(claim, utterance):
            return
        if simulation.likely(simulation.chances.skip):
            simulation.truth.skipped.add(utterance.id)
            what = self.skip
        elif simulation.likely(simulation.chances.bury):
            simulation.truth.buried.add(utterance.id)
            what = self.bury
        await self.end(claim, utterance, what)

    async def end(
        self,
        claim: Claim,
        utterance: Utterance,
        what: Callable[[Claim, Utterance], Awaitable[Settled]],
    ) -> None:
        simulation = self.simulation

        async def fenced(claim: Claim, held: bool) -> None:
            settled = await what(claim, utterance)
            about = (
                f"{claim.entry} {utterance.id} r{utterance.revision} turn {utterance.turn}"
                f" by {self.name}"
            )
            simulation.answered(f"{what.__name__}_utterance", settled.value, about)
            simulation.check(
                (settled is Settled.LOST) == (not held) and not self.holds(claim),
                f"{what.__name__} answered {settled.value} when the claim was held: {held}",
            )

        try:
            await self.call_fenced(claim, fenced)
        except ReplyLost:
            await self.call_fenced(claim, fenced)

    async def fail(self, claim: Claim, utterance: Utterance) -> bool:
        """End a failed try; whether the worker has to go on, since it was the last one."""

        async def fenced(claim: Claim, held: bool) -> Failed | Settled:
            named = None
            if utterance.session in SESSIONS:
                record = self.simulation.record(utterance.session, utterance.turn)
                named = (record.get("id"), record.get("entry")) == (utterance.id, claim.entry)
            failed = await fail_utterance(
                self.simulation.store,
                claim,
                **identity(utterance),
                rule=self.retry_rule(),
            )
            self.check_failed("fail_utterance", claim, held, named, failed)
            return failed

        failed = await self.call_fenced(claim, fenced)
        return isinstance(failed, Failed) and failed.pause_s is None

    async def settle(self, claim: Claim, utterance: Utterance) -> Settled:
        return await settle_utterance(
            self.simulation.store,
            claim,
            **identity(utterance),
            text=utterance.audio.decode("utf-8", "replace").strip(),
            stt_ms=0,
            detail={"worker": claim.consumer, "language": "en"},
            language="en",
        )

    async def skip(self, claim: Claim, utterance: Utterance) -> Settled:
        return await settle_utterance(
            self.simulation.store,
            claim,
            **identity(utterance),
            skip="noise",
            stt_ms=0,
            detail={},
        )

    async def bury(self, claim: Claim, utterance: Utterance) -> Settled:
        return await bury_utterance(
            self.simulation.store,
            claim,
            **identity(utterance),
            reason="poison",
            error="it cannot be transcribed",
            deliveries=1,
            worker=claim.consumer,
        )


def as_far_as_usable(fields: Fields) -> Utterance:
    """What a broken entry names: its session, turn and utterance."""
    session, turn, name = (
        fields.get(field, b"").decode("utf-8", "replace") for field in (b"session", b"turn", b"id")
    )
    return Utterance.model_construct(
        session=session if SESSION_ID.match(session) else "",
        turn=int(turn) if TURN.match(turn) else 0,
        id=name if UTTERANCE_ID.match(name) else "",
    )


def identity(utterance: Utterance) -> dict[str, Any]:
    """The arguments by which a transition checks that an entry is still the one of its turn."""
    return {
        "session": utterance.session,
        "turn": utterance.turn or None,
        "utterance": utterance.id,
    }
