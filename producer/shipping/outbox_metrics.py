"""What an outbox holds and drops, for Prometheus."""

from collections.abc import Iterable
from typing import Final, Protocol

import structlog
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from common.errors import BadInput
from producer.storage.outbox_report import Depth, Dropped

OUTBOX_DROPPED: Final = Counter(
    "earshot_outbox_dropped_total", "Utterances that the outbox dropped: too old, or no room."
)

log = structlog.get_logger(__name__)


def report_dropped(session: str, dropped: Dropped) -> None:
    """Count and log what the outbox of a session had to drop."""
    OUTBOX_DROPPED.inc(dropped.count)
    log.error("outbox_dropped_oldest", session=session, count=dropped.count, why=dropped.why)


class HasDepth(Protocol):
    """An outbox, for those who only look into it."""

    def depth(self) -> Depth: ...


class OutboxCollector(Collector):
    """The depth of an outbox, read at each scrape."""

    def __init__(self, outbox: HasDepth) -> None:
        self._outbox = outbox

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the families without samples."""
        return families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the families with the depth of now; without samples if it cannot be read."""
        try:
            return families(self._outbox.depth())
        except BadInput:
            return families()


def families(depth: Depth | None = None) -> list[GaugeMetricFamily]:
    """Return the depth of an outbox as metrics; without a depth, their names only."""
    values = {
        ("earshot_outbox_utterances", "Utterances that wait for Redis."): "waiting",
        ("earshot_outbox_parked_utterances", "Utterances that Redis will never accept."): "parked",
        ("earshot_outbox_bytes", "Size of the audio in the outbox."): "size_bytes",
        ("earshot_outbox_limit_bytes", "Size at which the oldest go."): "limit_bytes",
        ("earshot_outbox_oldest_seconds", "Age of the oldest utterance; 0: none."): "oldest_s",
        (
            "earshot_outbox_memory_utterances",
            "Utterances that wait in memory alone, because the disk fails.",
        ): "in_memory",
        (
            "earshot_outbox_disk_up",
            "Whether the outbox's disk can be written: 1 or 0.",
        ): "disk_works",
    }
    return [
        GaugeMetricFamily(name, text, value=None if depth is None else getattr(depth, field))
        for (name, text), field in values.items()
    ]
