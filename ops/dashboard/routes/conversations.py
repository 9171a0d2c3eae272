"""Conversations: the last day on request, and new events as they happen."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.keys import check_session_id
from common.redis.link import Link
from common.redis.store import Store
from ops.dashboard.state.cursors import Cursors, decode
from ops.dashboard.state.feed import Feed, matches

CAUGHT_UP_S: Final = 3.0
"""How long a request waits until the feed has read the past. Then the answer says that it reads."""

PING_S: Final = 5
"""How often a quiet stream sends a ping; after three missed pings a page reconnects."""

SLOWEST_SEND_S: Final = 30.0
"""A page that has read nothing for this long is disconnected. If it still exists, it reconnects."""

TURNS: Final = 50
FOUND: Final = 50
SEARCH_MAX: Final = 200
RETRY_MS: Final = 1_000


class Conversations:
    """The routes of one feed."""

    def __init__(self, feed: Feed, store: Store, link: Link) -> None:
        self._feed = feed
        self._store = store
        self._link = link

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/events", self.events),
            Route("/api/overview", self.overview),
            Route("/api/sessions/{session}", self.session),
            Route("/api/search", self.search),
        ]

    async def overview(self, request: Request) -> Response:
        """Return what a visitor sees first, and the event id from which `/events` continues."""
        if refusal := await self._refuse_while_reading():
            return refusal
        chronicle = self._feed.chronicle
        chronicle.prune(self._feed.now_ms)
        return _with_events(
            chronicle.overview(),
            place=self._feed.place,
            now=self._feed.now_ms,
            sessions=chronicle.sessions(),
        )

    async def session(self, request: Request) -> Response:
        """Return the events of a session's newest turns."""
        if refusal := await self._refuse_while_reading():
            return refusal
        session = check_session_id(request.path_params["session"])
        return _with_events(self._feed.chronicle.session(session, limit=TURNS))

    async def search(self, request: Request) -> Response:
        """Return the events of the newest turns whose speech or reply contains `q`."""
        if refusal := await self._refuse_while_reading():
            return refusal
        words = request.query_params.get("q", "").strip()[:SEARCH_MAX]
        return _with_events(self._feed.chronicle.search(words, FOUND) if words else [])

    async def events(self, request: Request) -> Response:
        """Stream results as server-sent events; the id of each is the place to resume from.

        Begins after `Last-Event-ID` (or `?after=`), else with new events. `?session=` selects one
        session; `?deltas=0` leaves out pieces of replies.
        """
        session = request.query_params.get("session")
        if session is not None:
            check_session_id(session)
        cursors = self._requested_cursors(request)
        if cursors is None and (refusal := await self._refuse_while_reading()):
            return refusal
        return EventSourceResponse(
            self._stream(cursors, session, deltas=request.query_params.get("deltas") != "0"),
            ping=PING_S,
            ping_message_factory=lambda: ServerSentEvent("{}", event="ping", sep="\n"),
            sep="\n",
            send_timeout=SLOWEST_SEND_S,
        )

    def _requested_cursors(self, request: Request) -> Cursors | None:
        # on a reconnect the header is newer than the address
        word = request.headers.get("last-event-id") or request.query_params.get("after")
        return decode(word, self._store) if word else None

    async def _stream(
        self, cursors: Cursors | None, session: str | None, *, deltas: bool
    ) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent("{}", event="ping", retry=RETRY_MS, sep="\n")
        async with aclosing(self._feed.events(cursors)) as events:
            async for found in events:
                if matches(found.event, session=session, deltas=deltas):
                    yield ServerSentEvent(found.line, id=found.id, sep="\n")

    async def _refuse_while_reading(self) -> Response | None:
        """Return the answer while the past is still being read; None when it is there."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CAUGHT_UP_S):
                await self._feed.caught_up.wait()
        if self._feed.caught_up.is_set():
            return None
        return JSONResponse(
            {"error": self._link.why or "the dashboard is still reading the last day"}, 503
        )


def _with_events(lines: Sequence[str], **fields: Any) -> Response:
    """Make a JSON answer with `events`, which are JSON texts already."""
    head = json.dumps(fields)[:-1]
    body = f'{head}{", " if fields else ""}"events": [{",".join(lines)}]}}'
    return Response(body, media_type="application/json")
