"""STT workers of the model: they transcribe by reading the words from the audio."""

from typing import Any, Final

from common.transitions.claims import Claim, Failed, Settled
from common.transitions.transcribing import bury_utterance, fail_utterance, settle_utterance
from common.utterance import Utterance
from tests.model.actors import ReplyLost
from tests.model.simulation import SHARD
from tests.model.workers import Fields, Worker

MAX_AUDIO: Final = 1_000


class SttWorker(Worker):
    """Transcribes by reading the words from the audio."""

    streams = (SHARD.utterances, SHARD.recordings)

    async def handle(self, claim: Claim, fields: Fields) -> None:
        simulation = self.simulation
        utterance = Utterance.from_fields(fields, max_audio=MAX_AUDIO)
        what = self.settle
        if simulation.fails_now() and not await self.fail(claim, utterance):
            return
        if simulation.likely(simulation.chances.skip):
            simulation.truth.skipped.add(utterance.id)
            what = self.skip
        elif simulation.likely(simulation.chances.bury):
            simulation.truth.buried.add(utterance.id)
            what = self.bury

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
            failed = await fail_utterance(
                self.simulation.store,
                claim,
                **identity(utterance),
                rule=self.retry_rule(),
            )
            self.check_failed("fail_utterance", claim, held, failed)
            return failed

        failed = await self.call_fenced(claim, fenced)
        return isinstance(failed, Failed) and failed.pause_s is None

    async def settle(self, claim: Claim, utterance: Utterance) -> Settled:
        return await settle_utterance(
            self.simulation.store,
            claim,
            **identity(utterance),
            text=utterance.audio.decode().strip(),
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


def identity(utterance: Utterance) -> dict[str, Any]:
    """The arguments by which a transition checks that an entry is still the one of its turn."""
    return {
        "session": utterance.session,
        "turn": utterance.turn,
        "utterance": utterance.id,
    }
