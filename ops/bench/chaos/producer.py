"""One producer process of a chaos run: many sessions, each with the real outbox and shipper."""

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path

from common.redis.opening import make_link, open_store, wait_for_redis
from common.settings import Settings
from common.telemetry import logs
from ops.bench.chaos.plan import Plan, Planned
from ops.bench.chaos.speech import make_utterance
from ops.local.signals import run_role
from producer.shipping.outbox import Outbox, Waiting
from producer.shipping.shipper import Shipper


class CutShort(Outbox):
    """An outbox whose process is killed just before it forgets what was acknowledged.

    Once for each of `fatal` (utterance ids); a file in `marks` remembers that it has happened.
    """

    fatal: frozenset[str] = frozenset()
    marks: Path
    _present: Waiting | None = None

    def first(self) -> Waiting | None:
        self._present = super().first()
        return self._present

    def forget(self, place: int) -> None:
        if self._present is not None and self._present.utterance.id in self.fatal:
            mark = self.marks / self._present.utterance.id
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        super().forget(place)


class Progress:
    """How far the plan was carried out, kept over deaths in a file.

    It is written after the outbox has the utterance: what was said just before a death is said
    again, under the same id.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def next(self) -> int:
        """The number of the first utterance that may not have been said."""
        return int(self._path.read_text()) if self._path.exists() else 0

    def said(self, number: int) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(str(number + 1))
        fresh.replace(self._path)


def run_producer(
    settings: Settings, plan: Plan, share: int, shares: int, folder: Path, started: float
) -> None:
    """Say one share of the plan and ship it, until SIGTERM.

    `started` is when the run began, by this machine's monotonic clock (s).
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
    sessions = [plan.session(index) for index in range(share, plan.sessions, shares)]
    progress = Progress(folder / f"progress-{share}")
    said = [one for one in plan.said() if one.session in sessions and one.number >= progress.next()]
    async with open_store(settings) as store:
        link = make_link(store, settings)
        outboxes = {session: _outbox(settings, plan, folder, session) for session in sessions}
        shippers = {session: Shipper(store, link, outbox) for session, outbox in outboxes.items()}

        async def ship() -> None:
            await wait_for_redis(link, store, settings)
            await asyncio.gather(*(shipper.run() for shipper in shippers.values()))

        async def speak() -> None:
            for one in said:
                await asyncio.sleep(max(0.0, started + one.at_s - time.monotonic()))
                await _say(outboxes[one.session], settings, one)
                shippers[one.session].added()
                progress.said(one.number)
            await asyncio.Event().wait()

        tasks = [asyncio.create_task(work) for work in (ship(), speak(), _until(stop))]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for outbox in outboxes.values():
            outbox.close()
        for task in done:
            task.result()


def _outbox(settings: Settings, plan: Plan, folder: Path, session: str) -> Outbox:
    outbox = CutShort(
        folder / "outbox",
        session,
        max_bytes=round(settings.listen.outbox_max_mb * 2**20),
        max_age_s=settings.listen.outbox_max_age_s,
    )
    outbox.marks = folder
    outbox.fatal = frozenset(f"chaos-{number}" for number in plan.cut_short_numbers())
    return outbox


async def _say(outbox: Outbox, settings: Settings, planned: Planned) -> None:
    utterance = make_utterance(planned, settings.stt.model)
    await asyncio.to_thread(partial(outbox.add, utterance, age_s=0.0))


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
