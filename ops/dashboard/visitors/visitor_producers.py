"""What visitors send goes the way of every producer: detector, segmenter, outbox, publish.

Each recording and each microphone is a session of its own, with an outbox of its own on this
host's disk; what a process that was ended left there is sent by the next one.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from common.errors import BadInput, EarshotError
from common.redis.link import Link
from common.redis.store import Store
from common.settings import Settings
from producer.listen import listen
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_folder import close_outbox, list_sessions, open_outbox
from producer.shipping.outbox_metrics import report_dropped
from producer.shipping.shipper import Shipper
from producer.sources.source import Source
from producer.speech.detector_choice import choose_detector

SESSION: Final = re.compile(r"web-[0-9a-f]{8}")
MOST: Final = 16
"""Visitors heard at once: detecting speech takes about a hundredth of a core for each."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class VisitorProducer:
    """One source on its way. `why` says what went wrong, when it is over."""

    source: Source
    task: "asyncio.Task[None] | None" = None
    why: str = ""

    @property
    def is_over(self) -> bool:
        return self.task is not None and self.task.done()


def new_session() -> str:
    """A session id that nobody has."""
    return f"web-{os.urandom(4).hex()}"


class VisitorProducers:
    """All that visitors send to one dashboard. `meet` waits for Redis and checks it."""

    def __init__(
        self,
        store: Store,
        link: Link,
        settings: Settings,
        wait_for_redis: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._link = link
        self._wait_for_redis = wait_for_redis
        self._options = settings.listen
        self._folder = self._options.outbox_folder() / "dashboard"
        self._stop = asyncio.Event()
        self._productions: dict[str, VisitorProducer] = {}
        self._leftovers: asyncio.Task[None] | None = None

    @property
    def frame_ms(self) -> int:
        """The frames that a source is to be cut into."""
        return self._options.frame_ms

    def find(self, session: str) -> VisitorProducer | None:
        """What came of a session that was begun, as long as it is remembered."""
        return self._productions.get(session)

    def check_room(self) -> None:
        """Raises BadInput when there are as many sources as can be heard."""
        if sum(not one.is_over for one in self._productions.values()) >= MOST:
            raise BadInput(f"{MOST} visitors are being heard already: try again when one has ended")

    def begin(self, source: Source, session: str, *, over: Callable[[], None]) -> VisitorProducer:
        """Hear a source in the background; `over` is called at its end, however that comes.

        Raises BadInput when there is no room, or the outbox cannot be used.
        """
        self.check_room()
        outbox = open_outbox(self._options, session, self._folder)
        while len(self._productions) >= 4 * MOST:  # only the latest are remembered
            oldest = next(iter(self._productions))
            if not self._productions[oldest].is_over:
                break
            del self._productions[oldest]
        production = self._productions[session] = VisitorProducer(source)
        production.task = asyncio.create_task(self._produce(production, session, outbox, over))
        return production

    async def _produce(
        self, production: VisitorProducer, session: str, outbox: Outbox, over: Callable[[], None]
    ) -> None:
        source = production.source
        try:
            with source:
                await listen(
                    source,
                    choose_detector(self._options),
                    self._options,
                    outbox,
                    self._store,
                    self._link,
                    self._wait_for_redis,
                    self._stop,
                    session=session,
                    realtime=source.is_live,
                )
        except EarshotError as error:
            production.why = str(error)
            log.warning("source_failed", session=session, source=source.name, why=str(error))
        except Exception:
            production.why = "that is an error of the dashboard itself: its log says more"
            log.exception("source_failed", session=session, source=source.name)
        finally:
            try:
                close_outbox(outbox)
            except EarshotError as error:
                log.error("outbox_not_put_away", session=session, why=str(error))
            finally:
                over()

    def start(self) -> None:
        """Send what earlier processes left."""
        self._leftovers = asyncio.create_task(self._ship_leftovers())

    async def _ship_leftovers(self) -> None:
        await self._wait_for_redis()
        for session in list_sessions(self._folder):
            try:
                outbox = open_outbox(self._options, session, self._folder)
            except BadInput as error:  # another dashboard's, which looks after it
                log.info("outbox_left_alone", session=session, why=str(error))
                continue
            try:
                await self._ship(outbox)
            finally:
                close_outbox(outbox)

    async def _ship(self, outbox: Outbox) -> None:
        # parked utterances are never shipped: without this they would stay for ever
        if (dropped := outbox.drop_stale()) is not None:
            report_dropped(outbox.session, dropped)
        if not len(outbox):
            return
        log.info("found_in_outbox", waiting=len(outbox))
        shipper = Shipper(self._store, self._link, outbox)
        shipping = asyncio.create_task(shipper.run())
        drained = asyncio.create_task(shipper.drained())
        try:
            await asyncio.wait({shipping, drained}, return_when=asyncio.FIRST_COMPLETED)
            if shipping.done():
                shipping.result()
        finally:
            for task in (shipping, drained):
                task.cancel()
            await asyncio.gather(shipping, drained, return_exceptions=True)

    async def close(self) -> None:
        """End all sources; what cannot be sent at once waits for the next start."""
        self._stop.set()
        tasks = [one.task for one in self._productions.values() if one.task is not None]
        if self._leftovers is not None:
            self._leftovers.cancel()
            with suppress(asyncio.CancelledError):
                await self._leftovers
        await asyncio.gather(*tasks, return_exceptions=True)
