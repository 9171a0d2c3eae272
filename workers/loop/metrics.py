"""Metrics of a worker's deliveries. `common/telemetry/metrics.py` has those of turns."""

from typing import Final, Literal, get_args

from prometheus_client import Counter, Gauge

from workers.loop.handler import DeliveryKind

IN_HAND: Final = Gauge(
    "earshot_in_hand_entries", "Entries that this worker has in hand, by `stage`.", ["stage"]
)
BREAKER: Final = Gauge(
    "earshot_breaker_state",
    "The breaker in front of the server of a `stage`: 0 closed, 1 on trial, 2 open.",
    ["stage"],
)
DELIVERIES: Final = Counter(
    "earshot_deliveries_total",
    "Entries taken, by `stage` and `kind`: new, handed_back, abandoned (by a dead worker), deferred"
    " (after a failure).",
    ["stage", "kind"],
)
RETRIES: Final = Counter(
    "earshot_retries_total",
    "Failed tries that are repeated, by `stage` and `reason`: transient (one request), server"
    " (unusable or busy: handed back), redis, failed (no known cause).",
    ["stage", "reason"],
)
SETTLED: Final = Counter(
    "earshot_settled_total",
    "Finished work, by `stage` and `outcome`: ok, stale (no turn waits for it any more), lost"
    " (another worker took over).",
    ["stage", "outcome"],
)
BURIED: Final = Counter(
    "earshot_dead_letters_total",
    "Entries that failed for good, by `stage` and `reason`.",
    ["stage", "reason"],
)

RETRY_REASONS: Final = ("transient", "server", "redis", "failed")
OUTCOMES: Final = ("ok", "stale", "lost")
BurialReason = Literal[
    "permanent", "bad_audio", "bad_entry", "newer_schema", "refused", "max_deliveries", "failed"
]


def create_series(stage: str) -> None:
    """Create every series of a stage at 0, so that its first event shows as an increase."""
    for counter, values in (
        (DELIVERIES, get_args(DeliveryKind)),
        (RETRIES, RETRY_REASONS),
        (SETTLED, OUTCOMES),
        (BURIED, get_args(BurialReason)),
    ):
        for value in values:
            counter.labels(stage, value)
