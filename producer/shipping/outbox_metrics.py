"""What an outbox holds and drops, for Prometheus."""

from collections.abc import Iterable

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from common.errors import BadInput
from producer.shipping.outbox import Depth, Dropped, Outbox
from producer.telemetry.metrics import OUTBOX_DROPPED

log = structlog.get_logger(__name__)


def tell_dropped(dropped: Dropped) -> None:
    """Count and say what an outbox had to let go of."""
    OUTBOX_DROPPED.inc(dropped.count)
    log.error("outbox_dropped_oldest", count=dropped.count, why=dropped.why)


class OutboxCollector(Collector):
    """Looks into the outbox at each scrape."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without samples."""
        return families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The families with what is in the outbox now; without numbers if it cannot be read."""
        try:
            return families(self._outbox.depth())
        except BadInput:
            return families()


def families(depth: Depth | None = None) -> list[GaugeMetricFamily]:
    """The depth of an outbox as metrics; without one, their names only."""
    values = {
        ("earshot_outbox_utterances", "Utterances that wait for Redis."): "waiting",
        ("earshot_outbox_parked_utterances", "Utterances that Redis will never accept."): "parked",
        ("earshot_outbox_bytes", "Size of the audio in the outbox."): "size_bytes",
        ("earshot_outbox_limit_bytes", "Size at which the oldest go."): "limit_bytes",
        ("earshot_outbox_oldest_seconds", "Age of the oldest utterance; 0: none."): "oldest_s",
    }
    return [
        GaugeMetricFamily(name, text, value=None if depth is None else getattr(depth, field))
        for (name, text), field in values.items()
    ]
