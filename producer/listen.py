"""The producer: it hears in a thread and ships beside it; neither waits for the other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from common.redis.link import Link
from common.redis.store import Store
from common.settings import ListenSettings
from producer.ear import Ear
from producer.shipping.drafts import Draft, DraftSender
from producer.shipping.eager import SIGNS_PER_TIMEOUT
from producer.shipping.outbox import Outbox
from producer.shipping.shipper import Shipper
from producer.sources.source import Source
from producer.speech.detector import Detector

LAST_SHIPMENT_S: Final = 3.0
"""Time to ship the last utterance after `stop`: a Redis that is away must not delay the end."""

log = structlog.get_logger(__name__)


async def listen(
    source: Source,
    detector: Detector,
    settings: ListenSettings,
    outbox: Outbox,
    store: Store,
    link: Link,
    wait_for_redis: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    *,
    session: str,
    realtime: bool,
    watch: Callable[[Shipper], None] | None = None,
) -> None:
    """Hear `source` to its end (or until `stop`), and ship everything that it held.

    `wait_for_redis` waits for Redis and checks it. Its error ends the run, and the outbox keeps
    what was heard. A source that has ended is shipped whole, however long Redis is away. On `stop`,
    what cannot be shipped at once waits for the next start. `watch` gets the shipper, to show what
    it does.
    """
    loop = asyncio.get_running_loop()
    shipper = Shipper(store, link, outbox, eager_backlog=settings.eager_backlog)

    def added() -> None:
        loop.call_soon_threadsafe(shipper.added)

    ear = Ear(
        source,
        detector,
        settings,
        outbox,
        session=session,
        realtime=realtime,
        added=added,
        draft_sender=_ThreadSafeSender(shipper.eager, loop),
        sign_s=store.limits.turn_timeout_s / SIGNS_PER_TIMEOUT,
    )

    async def ship() -> None:
        await wait_for_redis()
        await shipper.run()

    if watch is not None:
        watch(shipper)
    if left := len(outbox):
        log.info("found_in_outbox", waiting=left)
    shipping = asyncio.create_task(ship())
    hearing = asyncio.create_task(asyncio.to_thread(ear.hear))
    stopping = asyncio.create_task(stop.wait())
    keeping = asyncio.create_task(shipper.keep_on_disk())
    log.info("listening", source=source.name, session=session, live=source.is_live)
    try:
        await asyncio.wait({hearing, shipping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        source.close()
        failure = await _outcome(hearing)
        if not shipping.done():
            await _ship_rest(shipper, shipping, stopping)
        if shipping.done() and not shipping.cancelled():
            shipping.result()
        if failure is not None:
            raise failure
    finally:
        for task in (stopping, shipping, keeping):
            task.cancel()
        await asyncio.gather(shipping, stopping, keeping, return_exceptions=True)
        if not (ear.counts.utterances or source.is_live or stop.is_set()):
            log.warning("nobody_spoke", session=session, loudest_dbfs=round(ear.loudest_dbfs, 1))
        log.info(
            "done_listening",
            session=session,
            utterances=ear.counts.utterances,
            skipped=ear.counts.skipped,
            sent=shipper.sent,
            sent_early=shipper.eager.sent,
            waiting=len(outbox),
        )


class _ThreadSafeSender:
    """The event loop's sender of drafts, for the thread that hears."""

    def __init__(self, sender: DraftSender, loop: asyncio.AbstractEventLoop) -> None:
        self._sender = sender
        self._loop = loop

    def offer(self, draft: Draft) -> None:
        self._loop.call_soon_threadsafe(self._sender.offer, draft)

    def withdraw(self) -> None:
        self._loop.call_soon_threadsafe(self._sender.withdraw)

    def report_ongoing_speech(self, session: str, utterance: str) -> None:
        self._loop.call_soon_threadsafe(self._sender.report_ongoing_speech, session, utterance)


async def _outcome(task: "asyncio.Task[None]") -> Exception | None:
    try:
        await task
    except Exception as error:
        return error
    return None


async def _ship_rest(
    shipper: Shipper, shipping: "asyncio.Task[None]", stopping: "asyncio.Task[bool]"
) -> None:
    drained = asyncio.create_task(shipper.drained())
    try:
        done, _ = await asyncio.wait(
            {drained, shipping, stopping}, return_when=asyncio.FIRST_COMPLETED
        )
        if drained not in done and not shipping.done():
            await asyncio.wait({drained, shipping}, timeout=LAST_SHIPMENT_S)
    finally:
        drained.cancel()
