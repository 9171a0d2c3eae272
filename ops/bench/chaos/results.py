"""The results of a run: its events in the order of the stream, and how long people waited."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from common.events import Event, Heard, Reply, Skipped, TurnKey, parse_event
from common.keys import Shard
from common.redis.store import Store

PAGE: Final = 1_000


async def read_results(store: Store, shard: Shard) -> AsyncIterator[Event]:
    """Yield the events of one shard, the oldest first."""
    redis: Any = store.redis
    start = "-"
    while rows := await redis.xrange(shard.results, start, "+", count=PAGE):
        for _, fields in rows:
            yield parse_event(fields)
        start = f"({rows[-1][0].decode()}"


@dataclass(frozen=True, slots=True)
class ReplyTimes:
    """How long each utterance waited for its reply: ms from the end of its speech."""

    times_ms: tuple[float, ...] = ()

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile; None if nothing was answered."""
        return float(np.percentile(self.times_ms, percent)) if self.times_ms else None

    def as_dict(self) -> dict[str, Any]:
        median, p95 = (self.percentile_ms(percent) for percent in (50, 95))
        return {
            "count": len(self.times_ms),
            "median_ms": None if median is None else round(median),
            "p95_ms": None if p95 is None else round(p95),
        }


async def read_reply_times(store: Store, sessions: Collection[str]) -> ReplyTimes:
    """Measure the answered utterances of these sessions, by the clock of Redis.

    An utterance that was merged into a later one was answered with that one.
    """
    times: list[float] = []
    for shard in store.all_shards():
        spoken: dict[TurnKey, float] = {}
        merged: dict[TurnKey, list[TurnKey]] = defaultdict(list)
        replied: dict[TurnKey, int] = {}
        async for event in read_results(store, shard):
            if event.session not in sessions:
                continue
            if isinstance(event, Heard):
                spoken[event.key] = event.data.spoken_at
            elif isinstance(event, Skipped) and event.data.into is not None:
                merged[event.session, event.epoch, event.data.into].append(event.key)
            elif isinstance(event, Reply):
                replied[event.key] = event.at
        times += [
            at - spoken[turn]
            for last, at in replied.items()
            for turn in (last, *merged.get(last, ()))
            if turn in spoken
        ]
    return ReplyTimes(tuple(times))
