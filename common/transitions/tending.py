"""Looking after what nobody holds: tend, trim and forget."""

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
    """Mend one session; returns what was done: `expired`, `lost`, `woken`."""
    shard = store.shard(session)
    answer = await store.run(
        TEND,
        session,
        ms(store.limits.turn_timeout_s),
        keys=[shard.utterances, shard.recordings],
    )
    return [name.decode() for name in answer]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How many entries went because there were too many (not because they were old)."""

    results: int
    deltas: int
    dead: int


async def trim(store: Store, shard: Shard) -> Trimmed:
    """Apply the age and count limits of what is kept for readers."""
    limits = store.limits
    answer = await TRIM(
        store.redis,
        [shard.results, shard.deltas, shard.dead],
        [
            ms(limits.results_age_s),
            limits.results_max,
            ms(limits.deltas_age_s),
            limits.deltas_max,
            limits.dead_max,
            ms(limits.dead_age_s),
        ],
    )
    return Trimmed(*(int(count) for count in answer))


def report_trimmed(trimmed: Trimmed) -> None:
    """Log what a count limit dropped, with the setting that raises the limit."""
    for kind, count in asdict(trimmed).items():
        if count:
            setting = f"EARSHOT_LIMITS__{kind.upper()}_MAX"
            log.warning("oldest_dropped", of=kind, count=count, setting=setting)


async def forget(store: Store, session: str) -> int:
    """Delete a conversation; its unfinished turns end as `skipped: forgotten` (how many)."""
    shard = store.shard(session)
    answer = await store.run(FORGET, session, keys=[shard.utterances, shard.recordings])
    return int(answer[0])
