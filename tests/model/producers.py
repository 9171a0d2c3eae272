"""Producers of the model: they speak, revise, commit, retry, and die before they are done.

An utterance's audio is the sentence that it says, `ID.rREVISION`, and so its transcript tells
which revision of which utterance was heard.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from redis.exceptions import OutOfMemoryError

from common.errors import Refused
from common.transitions.publishing import (
    Commitment,
    Published,
    Verdict,
    abandon,
    commit,
    keep_open,
    publish,
)
from common.utterance import Utterance
from tests.model.actors import Actor, ReplyLost, run_now
from tests.model.simulation import DAMAGED, OLD_MS, SHARD, Simulation, Spoken


@dataclass(frozen=True, slots=True)
class Noted:
    """The latest utterance of which a draft may be in Redis; noted beside the outbox."""

    session: str
    utterance: str


class Producer(Actor):
    """Speaks a few utterances in one session; what is not acknowledged is in its outbox."""

    def __init__(
        self,
        simulation: Simulation,
        session: str,
        utterances: int,
        outbox: list[Utterance] | None = None,
        noted: Noted | None = None,
    ) -> None:
        super().__init__(simulation.fresh("producer"))
        self.simulation = simulation
        self.session = session
        self.utterances = utterances
        self.outbox = outbox or []
        self.noted = noted
        self.is_draft = False  # the last of the outbox is in memory only
        self.recording = simulation.likely(0.15)

    async def live(self) -> None:
        while True:
            try:
                await self.talk()
                return
            except Refused as refusal:
                self.simulation.refused(refusal)
                self.park()

    async def talk(self) -> None:
        await self.end_what_was_left_open()
        while self.outbox:  # after a restart: whole and final, as nobody knows what arrived
            await self.send_final(self.outbox[0])
        while self.utterances > 0:
            self.utterances -= 1
            await self.speak()

    def park(self) -> None:
        """What Redis will never accept is out of the way."""
        self.outbox.clear()
        self.noted = None
        self.is_draft = False

    def lose_memory(self) -> None:
        """It was killed: a draft is gone with it, and only noted."""
        if self.is_draft and self.simulation.abandons and self.simulation.abandoning.random() < 0.7:
            self.outbox.pop()

    def lose_disk(self) -> None:
        self.outbox.clear()
        self.noted = None

    async def end_what_was_left_open(self) -> None:
        simulation, noted = self.simulation, self.noted
        if noted is None or noted.utterance in {waiting.id for waiting in self.outbox}:
            return
        simulation.meddle(noted.session)
        what = partial(abandon, simulation.store, noted.session, noted.utterance)
        simulation.echoes[f"abandon {noted.utterance}"] = what
        ended = await simulation.insist(what)
        simulation.answered(
            "abandon", "ok" if ended else "closed", f"{noted.utterance} by {self.name}"
        )
        self.noted = None
        if ended and simulation.abandoning.random() < 0.5:
            self.arrive_after_all(noted.utterance)

    def arrive_after_all(self, utterance: str) -> None:
        """A command of the producer that was killed sat in a socket until now."""
        simulation = self.simulation
        kinds = (f"publish {utterance} ", f"commit {utterance} ")
        sent = [what for name, what in simulation.echoes.items() if name.startswith(kinds)]
        if not sent:
            return
        simulation.note(f"arrives after all: {utterance}")
        with suppress(OutOfMemoryError):
            try:
                run_now(simulation.abandoning.choice(sent))
            except Refused as refusal:
                simulation.refused(refusal)

    def new_utterance(self) -> Utterance:
        simulation = self.simulation
        name = simulation.fresh("u")
        old = simulation.likely(0.2)
        utterance = Utterance(
            id=name,
            session=self.session,
            codec="pcm_s16le",
            audio=as_pcm(f"{name}.r1"),
            samples=len(as_pcm(f"{name}.r1")) // 2,
            answer=not simulation.likely(0.1),
            interrupt=simulation.likely(0.3),
            hold_ms=OLD_MS if old else 0,
        )
        if simulation.likely(0.15):
            utterance = utterance.model_copy(update={"text": f"{name}.r1", "audio": b""})
        simulation.truth.spoken[name] = Spoken(
            self.session, name, utterance.answer, old, replayed=False
        )
        return utterance

    async def speak(self) -> None:
        simulation = self.simulation
        utterance = self.new_utterance()
        self.outbox.append(utterance)
        eager = simulation.likely(0.5)
        while eager:
            self.outbox[-1] = utterance
            self.noted = Noted(self.session, utterance.id) if simulation.abandons else None
            self.is_draft = True
            try:
                published = await self.publish(utterance.model_copy(update={"final": False}))
            except ReplyLost:
                pass  # it was worth a try
            else:
                if published.verdict is Verdict.CLOSED:
                    break
            if simulation.damages and simulation.damaging.random() < 0.4:
                await self.keep_open(utterance)
            if simulation.likely(simulation.chances.give_up):
                self.is_draft = False
                self.outbox.pop()
                return
            if simulation.likely(0.5) and await self.commit(utterance):
                return
            eager = simulation.likely(0.8 if utterance.id in simulation.truth.went_on else 0.5)
            utterance = revised(utterance)
        self.outbox[-1] = utterance
        self.is_draft = False
        await self.send_final(utterance)

    async def publish(self, utterance: Utterance) -> Published:
        """Raises ReplyLost only for what is not final."""
        simulation = self.simulation
        if utterance.final:
            simulation.truth.spoken[utterance.id].committed.add(words(utterance))
        what: Callable[[], Awaitable[Published]] = partial(
            publish, simulation.store, utterance, recording=self.recording
        )
        simulation.echoes[f"publish {utterance.id} r{utterance.revision} {utterance.final}"] = what
        while True:
            try:
                published = await (
                    simulation.insist(what)
                    if utterance.final or simulation.likely(0.5)
                    else simulation.call(what)
                )
            except OutOfMemoryError:
                continue
            about = (
                f"{utterance.id} r{utterance.revision} final={utterance.final}"
                f" turn {published.turn} by {self.name}"
            )
            simulation.answered("publish", published.verdict.value, about)
            if published.verdict is not Verdict.FULL:
                return published
            if self.session == DAMAGED and simulation.damaging.random() < 0.3:
                raise Refused(published.why)  # it may be full for ever; an outbox has time

    async def keep_open(self, utterance: Utterance) -> None:
        what = partial(keep_open, self.simulation.store, self.session, utterance.id)
        self.simulation.echoes[f"keep_open {utterance.id}"] = what
        with suppress(ReplyLost):
            is_open = await self.simulation.call(what)
            self.simulation.answered(
                "keep_open", "ok" if is_open else "closed", f"{utterance.id} by {self.name}"
            )

    async def send_final(self, utterance: Utterance) -> None:
        """Publish whole; under a new id if the turn has ended without it."""
        while True:
            published = await self.publish(utterance.model_copy(update={"final": True}))
            if published.verdict is not Verdict.CLOSED:
                self.acknowledge(utterance)
                return
            old, name = self.simulation.truth.spoken[utterance.id], self.simulation.fresh("u")
            self.simulation.truth.spoken[name] = Spoken(
                self.session, old.root, old.answer, old.old, replayed=False
            )
            self.outbox.remove(utterance)
            utterance = utterance.model_copy(update={"id": name, "revision": 1})
            self.outbox.append(utterance)

    async def commit(self, utterance: Utterance) -> bool:
        """False if the speaker went on speaking after all: there is more to send."""
        simulation = self.simulation
        self.is_draft = False
        simulation.meddle(self.session)
        simulation.truth.spoken[utterance.id].committed.add(words(utterance))
        what = partial(self.checked_commit, utterance)
        simulation.echoes[f"commit {utterance.id} r{utterance.revision}"] = what
        try:
            answer = await simulation.call(what)
        except ReplyLost:
            if self.goes_on(utterance, 0.6):
                return False
            answer = await simulation.insist(what)
        if answer is not Commitment.OK:
            await self.send_final(utterance)
            return True
        if self.goes_on(utterance, 0.1):
            return False
        self.acknowledge(utterance)
        return True

    def goes_on(self, utterance: Utterance, chance: float) -> bool:
        if not self.simulation.likely(chance):
            return False
        self.simulation.truth.went_on.add(utterance.id)
        return True

    async def checked_commit(self, utterance: Utterance) -> Commitment:
        """The answer must follow from what was seen of the utterance, and from its session."""
        simulation = self.simulation
        seen = simulation.do("GET", SHARD.seen(utterance.id))
        epoch = simulation.field(self.session, "epoch")
        committed = await commit(simulation.store, self.session, utterance.id, utterance.revision)
        answer = committed.outcome
        about = f"{utterance.id} r{utterance.revision} by {self.name}"
        simulation.answered("commit", answer.value, about)
        if self.session == DAMAGED:
            return answer
        expected = expected_commitment(seen, epoch, utterance.revision)
        simulation.check(
            answer in expected,
            f"commit {utterance.id} r{utterance.revision} answered {answer} to {seen!r}",
        )
        return answer

    def acknowledge(self, utterance: Utterance) -> None:
        self.simulation.truth.acknowledged.add(utterance.id)
        self.outbox.remove(utterance)


def expected_commitment(seen: bytes | None, epoch: bytes | None, revision: int) -> set[Commitment]:
    if seen is None:
        return {Commitment.UNKNOWN}
    seen_epoch, _, seen_revision, final = seen.split()
    if int(seen_revision) < revision:
        return {Commitment.UNKNOWN}
    if final == b"1":
        return {Commitment.OK}
    if int(seen_revision) > revision or seen_epoch != epoch:
        return {Commitment.CLOSED}
    return {Commitment.OK, Commitment.CLOSED}


def as_pcm(said: str) -> bytes:
    """A sentence as audio, in whole samples of 16 bits."""
    return said.encode() + b" " * (len(said) % 2)


def words(utterance: Utterance) -> str:
    """What will be transcribed."""
    return utterance.audio.decode().strip() if utterance.text is None else utterance.text


def revised(utterance: Utterance) -> Utterance:
    """The next revision: more words."""
    revision = utterance.revision + 1
    said = f"{words(utterance).partition('.')[0]}.r{revision}"
    changes: dict[str, object] = {"text": said}
    if utterance.text is None:
        changes = {"audio": as_pcm(said), "samples": len(as_pcm(said)) // 2}
    return utterance.model_copy(update={"revision": revision} | changes)
