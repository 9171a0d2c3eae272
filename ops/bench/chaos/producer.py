"""One producer process of a chaos run: many sessions, each with a real outbox and shipper."""

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path

from common.redis.opening import make_link, open_store, wait_for_redis
from common.settings import Settings
from common.telemetry import logs
from ops.bench.chaos.plan import Plan, PlannedUtterance
from ops.bench.chaos.speech import make_utterance
from ops.local.signals import run_role
from producer.shipping.outbox import Outbox, Waiting
from producer.shipping.shipper import Shipper


class FatalOutbox(Outbox):
    """An outbox that kills its process just before it removes certain utterances.

    Redis has acknowledged them by then. It does so once for each id in `fatal_ids`: a file in
    `marks_folder` says that it has happened.
    """

    fatal_ids: frozenset[str] = frozenset()
    marks_folder: Path
    _first: Waiting | None = None

    def first(self) -> Waiting | None:
        self._first = super().first()
        return self._first

    def forget(self, place: int) -> None:
        if self._first is not None and self._first.utterance.id in self.fatal_ids:
            mark = self.marks_folder / self._first.utterance.id
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        super().forget(place)


class Progress:
    """How much of the plan was carried out. A file keeps it when the process dies.

    It is written when the outbox has the utterance. So an utterance that was said just before the
    process died is said again, with the same id.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def next(self) -> int:
        """Return the number of the first utterance that may not have been said."""
        return int(self._path.read_text()) if self._path.exists() else 0

    def note(self, number: int) -> None:
        """Note that an utterance is in its outbox."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(str(number + 1))
        fresh.replace(self._path)


def run_producer(
    settings: Settings, plan: Plan, share: int, shares: int, folder: Path, started: float
) -> None:
    """Say and ship the sessions of one producer, number `share` of `shares`, until SIGTERM.

    `started` is the start of the run by this machine's monotonic clock (s).
    """
    logs.set_up(settings.log, producer=share)
    run_role(lambda stop: _run(settings, plan, share, shares, folder, started, stop))


async def _run(
    settings: Settings,
    plan: Plan,
    share: int,
    shares: int,
    folder: Path,
    started: float,
    stop: asyncio.Event,
) -> None:
    sessions = plan.all_sessions[share::shares]
    progress = Progress(folder / f"progress-{share}")
    planned = [
        utterance
        for utterance in plan.draw_utterances()
        if utterance.session in sessions and utterance.number >= progress.next()
    ]
    async with open_store(settings) as store:
        link = make_link(store, settings)
        outboxes = {session: _outbox(settings, plan, folder, session) for session in sessions}
        shippers = {session: Shipper(store, link, outbox) for session, outbox in outboxes.items()}

        async def ship() -> None:
            await wait_for_redis(link, store, settings)
            await asyncio.gather(*(shipper.run() for shipper in shippers.values()))

        async def speak() -> None:
            for utterance in planned:
                await asyncio.sleep(max(0.0, started + utterance.at_s - time.monotonic()))
                await _say(outboxes[utterance.session], settings, utterance)
                shippers[utterance.session].added()
                progress.note(utterance.number)
            await asyncio.Event().wait()

        tasks = [asyncio.create_task(work) for work in (ship(), speak(), _wait_for(stop))]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for outbox in outboxes.values():
            outbox.close()
        for task in done:
            task.result()


def _outbox(settings: Settings, plan: Plan, folder: Path, session: str) -> Outbox:
    outbox = FatalOutbox(
        folder / "outbox",
        session,
        max_bytes=round(settings.listen.outbox_max_mb * 2**20),
        max_age_s=settings.listen.outbox_max_age_s,
    )
    outbox.marks_folder = folder
    outbox.fatal_ids = frozenset(f"chaos-{number}" for number in plan.cut_short_numbers())
    return outbox


async def _say(outbox: Outbox, settings: Settings, planned: PlannedUtterance) -> None:
    utterance = make_utterance(planned, settings.stt.model)
    await asyncio.to_thread(partial(outbox.add, utterance, age_s=0.0))


async def _wait_for(stop: asyncio.Event) -> None:
    await stop.wait()
