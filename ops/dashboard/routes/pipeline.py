"""The pipeline: the backlog, the workers, how fast they work, and what is wrong."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.redis.failures import is_unusable
from common.redis.link import Link
from common.redis.store import Store
from common.status.entries_in_hand import read_entries_in_hand
from common.status.snapshot import take_snapshot
from ops.dashboard.state.feed import Feed
from ops.dashboard.state.rates import Rates

FRESH_S: Final = 1.0
"""Redis is asked once in this time, however many pages are open."""


class Pipeline:
    """The routes that show the state of queues and workers."""

    def __init__(self, store: Store, link: Link, feed: Feed, rates: Rates) -> None:
        self._store = store
        self._link = link
        self._feed = feed
        self._rates = rates
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._snapshot: dict[str, Any] | None = None

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/api/pipeline", self.pipeline)]

    async def pipeline(self, request: Request) -> Response:
        """Return the present snapshot (null while Redis is away); `?rates=1` adds the charts."""
        async with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                self._snapshot = await self._read()
                self._read_at = time.monotonic()
        answer: dict[str, Any] = {
            "now": self._feed.now_ms,
            "redis": self._link.why,
            "snapshot": self._snapshot,
        }
        if request.query_params.get("rates") == "1":
            answer["rates"] = self._rates.as_dict(self._feed.now_ms)
        return JSONResponse(answer)

    async def _read(self) -> dict[str, Any] | None:
        try:
            snapshot = (await self._link.call(take_snapshot, self._store)).as_dict()
            held = await self._link.call(read_entries_in_hand, self._store)
        except Exception as error:
            if not is_unusable(error):
                raise
            return None
        for worker in snapshot["workers"]:
            entries = held.get(worker["name"])
            worker["holds"] = None if entries is None else asdict(entries)
        return snapshot
