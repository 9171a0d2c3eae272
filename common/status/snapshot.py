"""What waits, who works, what failed: one look at the whole system."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common.redis.server import now_ms
from common.redis.store import Store
from common.status.streams import GROUPS, Backlog, read_backlog
from common.status.worker_record import WorkerRecord, read_workers


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that `earshot status` shows. `stages` is the work by stream, over all shards."""

    stages: dict[str, Backlog]
    open_sessions: int
    dead_letters: int
    workers: list[WorkerRecord]

    def as_dict(self) -> dict[str, Any]:
        return {
            "stages": {name: asdict(backlog) for name, backlog in self.stages.items()},
            "open_sessions": self.open_sessions,
            "dead_letters": self.dead_letters,
            "workers": [worker.as_dict() for worker in self.workers],
        }


async def take_snapshot(store: Store) -> Snapshot:
    """Ask Redis for the state of now."""
    redis: Any = store.redis
    now = await now_ms(redis)
    shards = store.all_shards()
    stages = {}
    for name, group in GROUPS.items():
        stages[name] = _sum(
            [await read_backlog(redis, getattr(shard, name), group, now) for shard in shards]
        )
    return Snapshot(
        stages,
        sum([await redis.zcard(shard.open) for shard in shards]),
        sum([await redis.xlen(shard.dead) for shard in shards]),
        await read_workers(redis),
    )


def _sum(backlogs: Sequence[Backlog]) -> Backlog:
    return Backlog(
        sum(backlog.waiting for backlog in backlogs),
        sum(backlog.in_hand for backlog in backlogs),
        _oldest(backlog.oldest_s for backlog in backlogs),
    )


def _oldest(ages_s: Iterable[float | None]) -> float | None:
    ages = list(ages_s)
    return None if None in ages else max(age_s for age_s in ages if age_s is not None)
