"""Producers for visitors: their audio goes through detector, segmenter, outbox and publish.

Each recording and each microphone has a session of its own, and an outbox on the disk of this host.
A process ships what an earlier process left in its outboxes.
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
from producer.shipping.outbox_folder import (
    VISITORS,
    close_outbox,
    list_sessions,
    open_outbox,
)
from producer.shipping.outbox_metrics import report_dropped
from producer.shipping.shipper import Shipper
from producer.sources.source import Source
from producer.speech.detector_choice import choose_detector

VISITOR_SESSION: Final = re.compile(r"web-[0-9a-f]{8}")
REMEMBERED: Final = 64
"""Sources whose end can still be asked for: a page asks twice a second."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class VisitorProducer:
    """The producer of one source. `why`: what went wrong, when it has ended."""

    source: Source
    task: "asyncio.Task[None] | None" = None
    why: str = ""

    @property
    def is_over(self) -> bool:
        return self.task is not None and self.task.done()


def new_session() -> str:
    """Return a new session id."""
    return f"web-{os.urandom(4).hex()}"


class VisitorProducers:
    """The producers of one dashboard. `wait_for_redis` waits for Redis and checks it."""

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
        self._folder = self._options.outbox_folder() / VISITORS
        self._stop = asyncio.Event()
        self._producers: dict[str, VisitorProducer] = {}
        self._shipping_leftovers: asyncio.Task[None] | None = None

    @property
    def frame_ms(self) -> int:
        """The length of the frames that a source must deliver."""
        return self._options.frame_ms

    def find(self, session: str) -> VisitorProducer | None:
        """Return the producer of a session; None if it is unknown or no longer remembered."""
        return self._producers.get(session)

    def begin(self, source: Source, session: str, *, on_end: Callable[[], None]) -> VisitorProducer:
        """Hear a source in the background; `on_end` is called at its end, after errors as well.

        The caller has a place for it. Raises BadInput if the outbox cannot be used.
        """
        outbox = open_outbox(self._options, session, self._folder)
        over = [name for name, one in self._producers.items() if one.is_over]
        for name in over[: len(over) - REMEMBERED]:
            del self._producers[name]
        producer = self._producers[session] = VisitorProducer(source)
        producer.task = asyncio.create_task(self._produce(producer, session, outbox, on_end))
        return producer

    async def _produce(
        self, producer: VisitorProducer, session: str, outbox: Outbox, on_end: Callable[[], None]
    ) -> None:
        source = producer.source
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
            producer.why = str(error)
            log.warning("source_failed", session=session, source=source.name, why=str(error))
        except Exception:
            producer.why = "that is an error of the dashboard itself: its log says more"
            log.exception("source_failed", session=session, source=source.name)
        finally:
            try:
                close_outbox(outbox)
            except EarshotError as error:
                log.error("outbox_not_closed", session=session, why=str(error))
            finally:
                on_end()

    def start(self) -> None:
        """Begin to send what earlier processes left."""
        self._shipping_leftovers = asyncio.create_task(self._ship_leftovers())

    async def _ship_leftovers(self) -> None:
        await self._wait_for_redis()
        for session in list_sessions(self._folder):
            try:
                outbox = open_outbox(self._options, session, self._folder)
            except BadInput as error:  # another dashboard uses it and will send it
                log.info("outbox_left_alone", session=session, why=str(error))
                continue
            try:
                await self._ship(outbox)
            finally:
                close_outbox(outbox)

    async def _ship(self, outbox: Outbox) -> None:
        # parked utterances are never shipped: without this they would stay forever
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
        """End all sources; the outboxes keep what cannot be sent at once for the next start."""
        self._stop.set()
        tasks = [one.task for one in self._producers.values() if one.task is not None]
        if self._shipping_leftovers is not None:
            self._shipping_leftovers.cancel()
            with suppress(asyncio.CancelledError):
                await self._shipping_leftovers
        await asyncio.gather(*tasks, return_exceptions=True)
