"""Throughput and durations of each stage in the last minutes, counted from the results."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from common.events import Error, Event, Heard, Reply, Timings, Transcript

BUCKET_MS: Final = 10_000
BUCKETS: Final = 90
"""15 minutes."""

LONGEST_MS: Final = 86_400_000
"""A day. A longer duration is a mistake, and would hide all others in a chart."""

COUNTED: Final = {Heard: "heard", Transcript: "transcripts", Reply: "replies", Error: "errors"}
STAGES: Final = ("stt_queue", "stt", "llm_queue", "first_token", "rest", "total")


@dataclass(slots=True)
class _Bucket:
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    durations: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Rates:
    """Events in buckets of ten seconds by the Redis server's clock."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def add(self, event: Event) -> None:
        """Count an event."""
        kind = COUNTED.get(type(event))
        if kind is None:
            return
        bucket = self._bucket(event.at // BUCKET_MS)
        if bucket is None:
            return
        bucket.counts[kind] += 1
        if isinstance(event, (Transcript, Reply)):
            of = stt_durations if isinstance(event, Transcript) else llm_durations
            for stage, ms in of(event.data.timings):
                bucket.durations[stage].append(ms)

    def _bucket(self, number: int) -> _Bucket | None:
        newest = next(reversed(self._buckets), number)
        if number <= newest - BUCKETS:
            return None
        if number not in self._buckets:
            self._buckets[number] = _Bucket()
            if number < newest:  # shards are read side by side
                self._buckets = OrderedDict(sorted(self._buckets.items()))
            while next(iter(self._buckets)) <= max(number, newest) - BUCKETS:
                self._buckets.popitem(last=False)
        return self._buckets[number]

    def as_dict(self, now_ms: int) -> dict[str, Any]:
        """Return series for charts: `times` (s), events a minute, `p50` and `p95` of stages (ms).

        The last bucket is not complete yet.
        """
        last = now_ms // BUCKET_MS
        numbers = range(last - BUCKETS + 1, last + 1)
        found = [self._buckets.get(number) for number in numbers]
        per_minute = 60_000 / BUCKET_MS
        return {
            "times": [number * BUCKET_MS // 1000 for number in numbers],
            "per_minute": {
                kind: [bucket.counts[kind] * per_minute if bucket else 0 for bucket in found]
                for kind in COUNTED.values()
            },
            "p50": {stage: _series(found, stage, 50) for stage in STAGES},
            "p95": {stage: _series(found, stage, 95) for stage in STAGES},
            "over_all": {stage: _over_all(found, stage) for stage in STAGES},
        }


def stt_durations(timings: Timings) -> Iterator[tuple[str, float]]:
    """Yield how long the stages up to the transcript took (ms)."""
    yield from _duration("stt_queue", timings.published, timings.stt_started)
    yield from _duration("stt", timings.stt_started, timings.transcribed)


def llm_durations(timings: Timings) -> Iterator[tuple[str, float]]:
    """Yield how long the stages from the transcript to the reply took (ms)."""
    known = [time for time in (timings.transcribed, timings.committed) if time is not None]
    ready = max(known) if known else timings.published
    yield from _duration("llm_queue", ready, timings.llm_started)
    yield from _duration("first_token", timings.llm_started, timings.first_token)
    yield from _duration("rest", timings.first_token, timings.done)
    yield from _duration("total", 0, timings.done)


def _duration(stage: str, start: float | None, end: float | None) -> Iterator[tuple[str, float]]:
    if start is None or end is None:
        return
    if -LONGEST_MS <= end - start <= LONGEST_MS:  # not if it is infinite or no number
        yield stage, max(0.0, end - start)


def _series(buckets: list[_Bucket | None], stage: str, percent: int) -> list[float | None]:
    return [_percentile(bucket.durations[stage], percent) if bucket else None for bucket in buckets]


def _over_all(buckets: list[_Bucket | None], stage: str) -> dict[str, float | int | None]:
    values = [ms for bucket in buckets if bucket for ms in bucket.durations[stage]]
    return {
        "count": len(values),
        "p50": _percentile(values, 50),
        "p95": _percentile(values, 95),
    }


def _percentile(values: list[float], percent: int) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None
