"""One subscriber for all pages: it fills the chronicle and sends events to every page.

A page that cannot keep up is disconnected. It comes back with the id of its last event, and gets
what it missed from the streams.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from common.entry_id import OLDEST
from common.events import Event, ReplyDelta, limit_time
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Received, Subscriber
from ops.dashboard.state.chronicle import Chronicle
from ops.dashboard.state.cursors import Cursors, encode, is_before

QUEUE: Final = 2_000
"""How many events may wait for a page: 10 s at 200 events a second."""

CLOCK_EVERY_S: Final = 60.0
"""How often the server's clock is read."""

CLOCK_ERROR_MS: Final = 60_000
"""By how much our idea of that clock may be late, at most: a host may have slept."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event for pages: `id` is the place after it in all streams, `line` its JSON."""

    event: Event
    stream: str
    entry: str
    line: str
    id: str = ""


class _Page:
    """A page's queue; None in it disconnects the page."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[FeedEvent | None] = asyncio.Queue(QUEUE + 1)

    def put(self, event: FeedEvent) -> bool:
        """Queue an event; return False and disconnect the page if it is too far behind."""
        if self.queue.qsize() >= QUEUE:
            self.cut()
            return False
        self.queue.put_nowait(event)
        return True

    def cut(self) -> None:
        while self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class Feed:
    """Follows the results; calls `note` once with each event.

    It reads `history_s` seconds of the past first, and then sets `caught_up`.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        chronicle: Chronicle,
        *,
        history_s: float,
        note: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._link = link
        self._history_s = history_s
        self._note = note
        self._offset_ms = 0.0
        self._pages: set[_Page] = set()
        self._closed = False
        self.chronicle = chronicle
        self.cursors: Cursors = {}
        self.caught_up = asyncio.Event()

    @property
    def now_ms(self) -> int:
        """The Redis server's clock (ms), as this process estimates it."""
        return round(1000 * time.monotonic() + self._offset_ms)

    @property
    def place(self) -> str:
        """The id of the latest event."""
        return encode(self.cursors, self._store)

    async def run(self) -> None:
        """Run until cancelled; waits while Redis is away."""
        await self._set_clock()
        keeping_time = asyncio.create_task(self._keep_time())
        try:
            await self._read()
        finally:
            keeping_time.cancel()
            await asyncio.gather(keeping_time, return_exceptions=True)

    async def _set_clock(self) -> None:
        redis: Any = self._store.redis
        seconds, micros = await self._link.retry_until_answered(redis.time)
        self._offset_ms = seconds * 1000 + micros / 1000 - 1000 * time.monotonic()

    async def _keep_time(self) -> None:
        """Follow the server's clock: it may be set, and ours stands still while a host sleeps."""
        while True:
            await asyncio.sleep(CLOCK_EVERY_S)
            await self._set_clock()

    async def _read(self) -> None:
        since = f"{max(0, round(self.now_ms - 1000 * self._history_s))}-0"
        past = Subscriber(self._store, self._link, since=since, follow=False)
        await self._follow(past)
        self.cursors = dict(past.cursors)
        self.caught_up.set()
        log.info("caught_up", sessions=len(self.chronicle.sessions()))
        await self._follow(Subscriber(self._store, self._link, cursors=dict(self.cursors)))

    async def _follow(self, subscriber: Subscriber) -> None:
        async with aclosing(subscriber.events()) as events:
            async for received in events:
                self._take(received)

    def _take(self, received: Received) -> None:
        event, stream, entry = self._limit_time(received), received.stream, received.entry
        if is_before(entry, self.cursors.get(stream, "0-0")):
            # Redis lost its latest data: every page starts again from where Redis is
            log.warning("pages_cut_off", why="the server went back in time")
            self._cut_all()
        self.cursors[stream] = entry
        line = event.as_line()
        self.chronicle.add(event, line)
        self._note(event)
        feed_event = FeedEvent(event, stream, entry, line)
        for page in [page for page in self._pages if not page.put(feed_event)]:
            log.info("page_cut_off", why="it cannot keep up", behind=QUEUE)
            self._pages.discard(page)

    def _limit_time(self, received: Received) -> Event:
        """Return the event with a time that has come, also if its entry's id lies in the future."""
        now_ms = self.now_ms
        if received.event.at <= now_ms + CLOCK_ERROR_MS:
            return received.event
        return limit_time(received.event, now_ms)

    async def events(self, cursors: Cursors | None) -> AsyncGenerator[FeedEvent, None]:
        """Yield every event after `cursors` (None: the latest), until the page is disconnected."""
        place = dict(self.cursors if cursors is None else cursors)
        with self._page() as page:
            if cursors is not None:
                missed = Subscriber(self._store, self._link, follow=False, cursors=dict(place))
                async with aclosing(missed.events()) as past:
                    async for received in past:
                        place[received.stream] = received.entry
                        event = self._limit_time(received)
                        told = FeedEvent(event, received.stream, received.entry, event.as_line())
                        yield self._with_id(told, place)
                # if Redis lost its latest data, continue from its end
                place = dict(missed.cursors)
            while (new := await page.queue.get()) is not None:
                if is_before(new.entry, place.get(new.stream, OLDEST)):
                    continue
                place[new.stream] = new.entry
                yield self._with_id(new, place)

    def _with_id(self, event: FeedEvent, place: Cursors) -> FeedEvent:
        return replace(event, id=encode(place, self._store))

    @contextmanager
    def _page(self) -> Iterator[_Page]:
        page = _Page()
        self._pages.add(page)
        if self._closed:
            page.cut()
        try:
            yield page
        finally:
            self._pages.discard(page)

    def _cut_all(self) -> None:
        for page in self._pages:
            page.cut()
        self._pages.clear()

    def close(self) -> None:
        """Disconnect every page, now and later: the server stops."""
        self._closed = True
        self._cut_all()


def matches(event: Event, *, session: str | None, deltas: bool) -> bool:
    """Tell whether a reader gets an event, given its session and whether it wants deltas."""
    if session is not None and event.session != session:
        return False
    return deltas or not isinstance(event, ReplyDelta)
