"""A process that speaks with pauses: drafts, resumptions and ends by the real producer's parts, and
a death at a chosen point of each utterance. What is said carries a number, as in all chaos runs.

Speech is not repeated: an utterance in the middle of which the process died is gone, unless it had
reached the outbox.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Final

import numpy as np

from common.audio import SAMPLE_RATE
from common.redis.opening import make_link, open_store, wait_for_redis
from common.settings import Settings
from common.telemetry import logs
from common.utterance import Utterance
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import InstantEngine, make_utterance
from ops.local.signals import run_role
from producer.shipping.drafts import Draft, Drafts, Name
from producer.shipping.identity import new_utterance_id
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from producer.speech.segmenter import SpeechSegment
from producer.storage.boot_clock import host_clock

BLOCK: Final = 100  # numbers of one utterance: revisions get one each
STEP_S: Final = 0.08


class Death(Enum):
    """Where the process dies, if it does."""

    NEVER = auto()
    DRAFT_OFFERED = auto()
    DRAFT_SENT = auto()
    RESUMED = auto()
    NEXT_DRAFT_SENT = auto()
    IN_THE_OUTBOX = auto()
    BEFORE_FORGETTING = auto()


DEATHS: Final = tuple(Death)


def resumes(number: int) -> bool:
    """Whether the speaker goes on after the first pause of utterance `number`."""
    return number // len(DEATHS) % 2 == 0


def death_in(number: int) -> Death:
    """Each is come across with and without a resumption in 14 utterances."""
    return DEATHS[number % len(DEATHS)]


class Diary:
    """What was said, kept over deaths in files that only grow."""

    def __init__(self, folder: Path, session: str) -> None:
        self._folder = folder
        self._session = session

    def _path(self, what: str) -> Path:
        return self._folder / f"{what}-{self._session}"

    def note(self, what: str, number: int) -> None:
        with self._path(what).open("a") as file:
            file.write(f"{number}\n")

    def noted(self, what: str) -> list[int]:
        path = self._path(what)
        return [int(line) for line in path.read_text().split()] if path.exists() else []


class DyingOutbox(Outbox):
    """An outbox whose process may die just before it forgets, and that notes new ids."""

    before_forgetting: Callable[[], None]
    renamed: Callable[[], None]

    def rename(self, place: int, utterance: str) -> None:
        super().rename(place, utterance)
        self.renamed()

    def forget(self, place: int) -> None:
        self.before_forgetting()
        super().forget(place)


class EagerProducer:
    """One session's producer, but for the microphone."""

    def __init__(self, session: str, diary: Diary, outbox: DyingOutbox, shipper: Shipper) -> None:
        self._session = session
        self._diary = diary
        self._outbox = outbox
        self._shipper = shipper
        self._drafts = Drafts(new_utterance_id)
        self._rng = random.Random(session)
        self._number = 0
        outbox.renamed = lambda: diary.note("renamed", self._number)
        outbox.before_forgetting = self._dies_here(Death.BEFORE_FORGETTING)

    async def speak(self, number: int) -> None:
        """One utterance; it may be the last thing that this process does."""
        self._number = number
        self._diary.note("begun", number)
        ends = 0
        await self._pause(number, ends)
        self._die(Death.DRAFT_OFFERED)
        await self._sent()
        self._die(Death.DRAFT_SENT)
        if resumes(number):
            self._drafts.mark_incomplete()
            self._shipper.eager.withdraw()
            await self._wait()
            self._die(Death.RESUMED)
            ends = 1
            if number % 3:  # else the end comes without another pause
                await self._pause(number, ends)
                await self._sent()
            self._die(Death.NEXT_DRAFT_SENT)
        self._end(number, ends)
        self._die(Death.IN_THE_OUTBOX)
        await self._wait()

    def _dies_here(self, where: Death) -> Callable[[], None]:
        return lambda: self._die(where)

    def _die(self, where: Death) -> None:
        if death_in(self._number) is where and self._number not in self._diary.noted("died"):
            self._diary.note("died", self._number)
            os.kill(os.getpid(), signal.SIGKILL)

    async def _pause(self, number: int, ends: int) -> None:
        segment = _segment(number, ends)
        utterance = self._utterance(number, ends, self._drafts.name_draft(segment))
        self._shipper.eager.offer(Draft(utterance, host_clock().elapsed()))

    async def _sent(self) -> None:
        """Wait for a while: the draft may be on its way still, with STT, or done with."""
        for _ in range(3):
            await self._wait()

    def _end(self, number: int, ends: int) -> None:
        utterance = self._utterance(
            number, ends, self._drafts.name_utterance(_segment(number, ends))
        )
        self._diary.note("ended", BLOCK * number + ends)
        self._shipper.eager.withdraw()
        self._outbox.add(utterance, age_s=0)
        self._diary.note("kept", BLOCK * number + ends)
        self._shipper.added()

    def _utterance(self, number: int, ends: int, name: Name) -> Utterance:
        planned = PlannedUtterance(BLOCK * number + ends, self._session, 0.0, Kind.SPEECH)
        return make_utterance(planned, InstantEngine.name).model_copy(
            update={"id": name.id, "revision": name.revision, "final": name.final}
        )

    async def _wait(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, 2 * STEP_S))


def _segment(number: int, ends: int) -> SpeechSegment:
    start = number * SAMPLE_RATE
    return SpeechSegment(
        samples=np.zeros(0, np.int16),
        start=start,
        end_of_speech=start + 100 * (1 + ends),
        speech_samples=100,
        continued=False,
        continues=False,
    )


async def _come_back(died: Death, settings: Settings) -> None:
    """Its host was off for longer than a turn is kept open, when that makes a difference."""
    if died is Death.IN_THE_OUTBOX:
        limits = settings.limits
        await asyncio.sleep(limits.turn_timeout_s + 3 * limits.tend_after_s)


def run_eager_producer(settings: Settings, session: str, numbers: range, folder: Path) -> None:
    """Say what has not been said yet, ship it all, and wait for SIGTERM."""
    logs.set_up(settings.log, session=session)
    run_role(lambda stop: _run(settings, session, numbers, folder, stop))


async def _run(
    settings: Settings, session: str, numbers: range, folder: Path, stop: asyncio.Event
) -> None:
    diary = Diary(folder, session)
    outbox = DyingOutbox(folder / "outbox", session, max_bytes=10**8, max_age_s=10**5)
    async with open_store(settings) as store:
        link = make_link(store, settings)
        shipper = Shipper(store, link, outbox, eager_backlog=settings.listen.eager_backlog)
        speaker = EagerProducer(session, diary, outbox, shipper)

        async def live() -> None:
            await wait_for_redis(link, store, settings)
            if died := diary.noted("died"):
                await _come_back(death_in(died[-1]), settings)
            shipping = asyncio.create_task(shipper.run())
            for number in numbers:
                if number not in diary.noted("begun"):
                    await speaker.speak(number)
                    await shipper.drained()
            await shipper.drained()
            diary.note("done", 1)
            await shipping

        living = asyncio.create_task(live())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        outbox.close()
