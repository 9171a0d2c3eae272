"""What the producer counts beside its turns, for Prometheus; see `common/metrics.py`."""

from collections.abc import Iterable
from typing import Final

import structlog
from prometheus_client import Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from common.errors import BadInput
from producer.outbox import Depth, Dropped, Outbox

log = structlog.get_logger(__name__)

SPEECH: Final = Gauge("earshot_speech_active", "Whether somebody speaks: 1 or 0.")
MUTED: Final = Gauge("earshot_muted", "Whether the microphone is muted: 1 or 0.")
MICROPHONE_RECONNECTS: Final = Counter(
    "earshot_microphone_reconnects_total", "Times that a microphone that had failed was back."
)
AUDIO_LOST: Final = Counter(
    "earshot_audio_lost_blocks_total",
    "Blocks of audio lost, by `at`: device (its own buffer ran over), queue (nobody took them).",
    ["at"],
)
PUBLISHED: Final = Counter(
    "earshot_published_total",
    "Answers of Redis to what was sent, by `verdict`: accepted, revised (a draft is final"
    " now), duplicate, closed (it becomes a new turn), full (kept until there is room), refused.",
    ["verdict"],
)
OUTBOX_DROPPED: Final = Counter(
    "earshot_outbox_dropped_total", "Utterances that the outbox let go of: too old, or no room."
)

for _at in ("device", "queue"):
    AUDIO_LOST.labels(_at)
for _verdict in ("accepted", "revised", "duplicate", "closed", "full", "refused"):
    PUBLISHED.labels(_verdict)


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
        ("earshot_outbox_parked_utterances", "Utterances that Redis will never take."): "parked",
        ("earshot_outbox_bytes", "Audio in the outbox."): "size_bytes",
        ("earshot_outbox_limit_bytes", "Where the oldest are let go of."): "limit_bytes",
        ("earshot_outbox_oldest_seconds", "Age of the oldest that waits; 0: none."): "oldest_s",
    }
    return [
        GaugeMetricFamily(name, text, value=None if depth is None else getattr(depth, field))
        for (name, text), field in values.items()
    ]
