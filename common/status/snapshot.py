"""What waits, who works, what failed: one look at the whole system."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from common.redis.server import now_ms
from common.redis.store import Store
from common.status.sessions import read_quarantine
from common.status.streams import GROUPS, Backlog, read_backlog
from common.status.worker_record import WorkerRecord, read_workers

MOST_NAMED: Final = 20
"""Sessions that are named, of those that were set aside."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that `earshot status` shows. `stages` is the work by stream, over all shards.

    `dead_letter_bytes` is what the dead letters take; 0 if we may not know. `set_aside` names some
    of the sessions that cannot be tended, each with the reason.
    """

    stages: dict[str, Backlog]
    open_sessions: int
    dead_letters: int
    workers: list[WorkerRecord]
    dead_letter_bytes: int = 0
    set_aside_count: int = 0
    set_aside: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "stages": {name: asdict(backlog) for name, backlog in self.stages.items()},
            "open_sessions": self.open_sessions,
            "dead_letters": self.dead_letters,
            "dead_letter_bytes": self.dead_letter_bytes,
            "set_aside": {"count": self.set_aside_count, "sessions": self.set_aside},
            "workers": [worker.as_dict() for worker in self.workers],
        }


async def take_snapshot(store: Store) -> Snapshot:
    """Ask Redis for the state of now."""
    redis: Any = store.redis
    shards = store.all_shards()
    clocks = [await now_ms(redis, shard.open) for shard in shards]
    stages = {}
    for name, group in GROUPS.items():
        stages[name] = _sum(
            [
                await read_backlog(redis, getattr(shard, name), group, now)
                for shard, now in zip(shards, clocks, strict=True)
            ]
        )
    return Snapshot(
        stages,
        sum([await redis.zcard(shard.open) for shard in shards]),
        sum([await redis.xlen(shard.dead) for shard in shards]),
        await read_workers(redis),
        await _read_letter_bytes(store),
        *await _read_set_aside(store),
    )


async def _read_letter_bytes(store: Store) -> int:
    redis: Any = store.redis
    total = 0
    for shard in store.all_shards():
        try:
            raw = await redis.get(shard.letters["dead_bytes"])
        except ResponseError as error:  # an older ACL file, or a foreign key
            if not isinstance(error, NoPermissionError) and "WRONGTYPE" not in str(error):
                raise
            continue
        total += int(raw) if raw is not None and raw.isdigit() else 0
    return total


async def _read_set_aside(store: Store) -> tuple[int, dict[str, str]]:
    redis: Any = store.redis
    count, named = 0, dict[str, str]()
    for shard in store.all_shards():
        try:
            in_shard = int(await redis.hlen(shard.quarantine))
            if in_shard and len(named) < MOST_NAMED:
                named |= await read_quarantine(store, shard, MOST_NAMED - len(named))
        except NoPermissionError:
            continue  # an ACL file from before there was a quarantine
        count += in_shard
    return count, named


def _sum(backlogs: Sequence[Backlog]) -> Backlog:
    return Backlog(
        sum(backlog.waiting for backlog in backlogs),
        sum(backlog.in_hand for backlog in backlogs),
        _oldest(backlog.oldest_s for backlog in backlogs),
        sum(backlog.deferred for backlog in backlogs),
    )


def _oldest(ages_s: Iterable[float | None]) -> float | None:
    ages = list(ages_s)
    return None if None in ages else max(age_s for age_s in ages if age_s is not None)
