"""What every role counts and measures, for Prometheus.

The metrics of one role are in its own `metrics.py`; docs/monitoring.md lists them all. Labels have
few values and never a session. Turns are counted from what transitions report
(`turn_changes.py`): each event by the one process that made it, latencies by the Redis server's
clock.
"""

from collections.abc import Sequence
from typing import Final, get_args

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from common.events import SkipReason
from common.telemetry.turn_changes import TurnChange

# it would add a second series to each counter, which nobody looks at
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotation

LATENCY_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60, 300)
"""Buckets for what a person waits for, from unnoticeable to longer than anybody waits (s)."""

STAGE_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 120)
"""Buckets for one stage, with shorter ones too (s)."""

REDIS_UP: Final = Gauge(
    "earshot_redis_up",
    "Whether Redis answered the last request: 1 or 0. In a cluster: whether every part did.",
)
REDIS_RECONNECTS: Final = Counter(
    "earshot_redis_reconnects_total", "How often Redis came back after it was away."
)
TURNS: Final = Counter(
    "earshot_turns_total",
    "Turns by `event`: heard, transcript, or how they ended: reply, skipped, error.",
    ["event"],
)
SKIPS: Final = Counter(
    "earshot_skips_total",
    "Turns that ended without their own reply, by `reason`; too_short and doubtful: never sent.",
    ["reason"],
)
TO_TRANSCRIPT: Final = Histogram(
    "earshot_speech_to_transcript_seconds",
    "Time from the end of speech to the transcript.",
    buckets=LATENCY_S,
)
TO_FIRST_TOKEN: Final = Histogram(
    "earshot_speech_to_first_token_seconds",
    "Time from the end of speech to the first token of the reply.",
    buckets=LATENCY_S,
)
TO_DONE: Final = Histogram(
    "earshot_speech_to_done_seconds",
    "Time from the end of speech to the whole reply.",
    buckets=LATENCY_S,
)
WAIT: Final = Histogram(
    "earshot_queue_wait_seconds",
    "How long work waited in Redis for a worker, by `stage`: stt, llm.",
    ["stage"],
    buckets=STAGE_S,
)
DURATION: Final = Histogram(
    "earshot_stage_duration_seconds",
    "How long a `stage` took: listen (end of speech to final in Redis), stt, llm.",
    ["stage"],
    buckets=STAGE_S,
)
FIRST_TOKEN: Final = Histogram(
    "earshot_llm_first_token_seconds",
    "Time from taking a turn to the first token of its reply: mostly the LLM server's time.",
    buckets=STAGE_S,
)
TOKENS: Final = Counter(
    "earshot_llm_tokens_total",
    "Tokens as the LLM server counts them, by `kind`: prompt, completion.",
    ["kind"],
)

OLDEST_DROPPED: Final = Counter(
    "earshot_oldest_dropped_total",
    "Entries kept for readers that a `limit` deleted: results_max, deltas_max, dead_max,"
    " dead_max_mb.",
    ["limit"],
)

# A series that exists from the start shows its first event as an increase.
for _event in ("heard", "transcript", "reply", "skipped", "error"):
    TURNS.labels(_event)
for _reason in get_args(SkipReason):
    SKIPS.labels(_reason)
for _stage in ("stt", "llm"):
    WAIT.labels(_stage)
for _stage in ("listen", "stt", "llm"):
    DURATION.labels(_stage)
for _kind in ("prompt", "completion"):
    TOKENS.labels(_kind)
for _limit in ("results_max", "deltas_max", "dead_max", "dead_max_mb"):
    OLDEST_DROPPED.labels(_limit)


def count_changes(changes: Sequence[TurnChange]) -> None:
    """Count what one transition did."""
    for change in changes:
        match change.what:
            case "published":
                DURATION.labels("listen").observe(_s(change.published - change.spoken))
            case "committed":
                DURATION.labels("listen").observe(_s(change.at - change.spoken))
            case "transcribed":
                _count_stt(change)
            case _:
                _count_event(change)


def _count_stt(change: TurnChange) -> None:
    if change.stt_started is None:
        return
    WAIT.labels("stt").observe(_s(change.stt_started - change.published))
    DURATION.labels("stt").observe(_s(change.at - change.stt_started))


def _count_event(change: TurnChange) -> None:
    TURNS.labels(change.what).inc()
    match change.what:
        case "transcript":
            TO_TRANSCRIPT.observe(_s(change.at - change.spoken))
        case "skipped":
            SKIPS.labels(change.reason).inc()
        case "reply":
            _count_reply(change)


def _count_reply(change: TurnChange) -> None:
    TO_DONE.observe(_s(change.at - change.spoken))
    if change.first_token is not None:
        TO_FIRST_TOKEN.observe(_s(change.first_token - change.spoken))
    if change.llm_started is not None:
        WAIT.labels("llm").observe(_s(change.llm_started - change.ready))
        DURATION.labels("llm").observe(_s(change.at - change.llm_started))
        if change.first_token is not None:
            FIRST_TOKEN.observe(_s(change.first_token - change.llm_started))
    usage = change.usage or {}
    for kind in ("prompt", "completion"):
        TOKENS.labels(kind).inc(usage.get(f"{kind}_tokens", 0))


def _s(duration_ms: int) -> float:
    return max(0, duration_ms) / 1000
