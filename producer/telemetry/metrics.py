"""What the producer counts beside its turns, for Prometheus; see `common/telemetry/metrics.py`."""

from typing import Final

from prometheus_client import Counter, Gauge

SPEECH: Final = Gauge("earshot_speech_active", "Whether somebody speaks: 1 or 0.")
MUTED: Final = Gauge("earshot_muted", "Whether the microphone is muted: 1 or 0.")
MICROPHONE_RECONNECTS: Final = Counter(
    "earshot_microphone_reconnects_total", "How often a failed microphone came back."
)
AUDIO_LOST: Final = Counter(
    "earshot_audio_lost_blocks_total",
    "Lost blocks of audio, by `at`: device (its buffer ran over), queue (not read in time).",
    ["at"],
)
PUBLISHED: Final = Counter(
    "earshot_published_total",
    "Answers of Redis to publishing, by `verdict`: accepted, revised (a draft is now final),"
    " duplicate, closed (becomes a new turn), full (kept until there is room), refused.",
    ["verdict"],
)

for _at in ("device", "queue"):
    AUDIO_LOST.labels(_at)
for _verdict in ("accepted", "revised", "duplicate", "closed", "full", "refused"):
    PUBLISHED.labels(_verdict)
