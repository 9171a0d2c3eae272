"""The limits on dead letters: their number and their bytes, which the scripts count."""

from typing import Any, Final

import structlog

from common.keys import Shard
from common.redis.script import Script
from common.redis.store import Store
from common.telemetry.metrics import OLDEST_DROPPED

COUNT_LETTERS: Final = Script("count_letters")

LETTERS_AT_ONCE: Final = 5
"""Letters that one script reads: each may hold some MiB of audio."""

MIB: Final = 2**20

FIELDS_BESIDE_AUDIO: Final = 64 * 1024
"""Bytes for all that a letter holds beside the audio of an entry."""

LARGEST_SHARE: Final = 4
"""One letter takes at most this part of the room for all: 1/4."""

log = structlog.get_logger(__name__)


async def count_letters(store: Store, shard: Shard) -> None:
    """Count the bytes of letters that something else than our scripts wrote or deleted.

    Raises what `is_hopeless` if the caller may not read dead letters.
    """
    after = ""
    while True:
        answer = await COUNT_LETTERS(store.redis, shard.letters, after=after, count=LETTERS_AT_ONCE)
        if not (after := answer.decode()):
            return


def limits_on_letters(store: Store) -> dict[str, Any]:
    """Return the arguments of scripts that delete the oldest letters beyond the limits."""
    return {
        "dead_max": store.limits.dead_max,
        "dead_max_bytes": store.limits.dead_max_mb * MIB,
    }


def largest_letter(store: Store) -> int:
    """Return how many bytes of an entry one letter may keep: never less than a valid entry has."""
    share = store.limits.dead_max_mb * MIB // LARGEST_SHARE
    return max(share, store.limits.max_entry_bytes + FIELDS_BESIDE_AUDIO)


def report_dropped_letters(by_count: int, by_bytes: int) -> None:
    """Count and log what the limits on dead letters have cost."""
    report_dropped("dead", by_count, "dead_max")
    report_dropped("dead", by_bytes, "dead_max_mb")


def report_dropped(kind: str, count: int, limit: str) -> None:
    """Count and log entries that a limit on the number or on the bytes deleted."""
    if count:
        OLDEST_DROPPED.labels(limit).inc(count)
        setting = f"EARSHOT_LIMITS__{limit.upper()}"
        log.warning("oldest_dropped", of=kind, count=count, setting=setting)
