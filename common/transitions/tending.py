"""The transitions of upkeep, which need no claim: tend, trim and forget."""

from dataclasses import asdict, dataclass
from typing import Final

import structlog

from common.keys import Shard
from common.redis.script import Script
from common.redis.store import Store, ms

TEND: Final = Script("tend")
TRIM: Final = Script("trim")
FORGET: Final = Script("forget")

log = structlog.get_logger(__name__)


async def tend(store: Store, session: str) -> list[str]:
    """Repair one session; return what was done: `expired`, `lost`, `woken`."""
    shard = store.shard(session)
    answer = await store.run(
        TEND,
        session,
        turn_timeout_ms=ms(store.limits.turn_timeout_s),
        keys={"utterances": shard.utterances, "recordings": shard.recordings},
    )
    return [name.decode() for name in answer]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How many entries were deleted because there were too many, not because they were old."""

    results: int
    deltas: int
    dead: int


async def trim(store: Store, shard: Shard) -> Trimmed:
    """Apply the age and count limits to what is kept for readers."""
    limits = store.limits
    answer = await TRIM(
        store.redis,
        {"results": shard.results, "deltas": shard.deltas, "dead": shard.dead},
        results_age_ms=ms(limits.results_age_s),
        results_max=limits.results_max,
        deltas_age_ms=ms(limits.deltas_age_s),
        deltas_max=limits.deltas_max,
        dead_max=limits.dead_max,
        dead_age_ms=ms(limits.dead_age_s),
    )
    return Trimmed(*(int(count) for count in answer))


def report_trimmed(trimmed: Trimmed) -> None:
    """Log what a count limit dropped, with the setting that raises the limit."""
    for kind, count in asdict(trimmed).items():
        if count:
            setting = f"EARSHOT_LIMITS__{kind.upper()}_MAX"
            log.warning("oldest_dropped", of=kind, count=count, setting=setting)


async def forget(store: Store, session: str) -> int:
    """Delete a conversation; return how many unfinished turns ended as `skipped: forgotten`."""
    shard = store.shard(session)
    answer = await store.run(
        FORGET, session, keys={"utterances": shard.utterances, "recordings": shard.recordings}
    )
    return int(answer[0])
