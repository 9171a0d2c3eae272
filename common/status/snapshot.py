"""What waits, who works, what died: one look at the whole system."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from redis.exceptions import NoPermissionError, ResponseError

from common.entry_id import added_at_ms
from common.keys import LLM_GROUP, STT_GROUP, WORKERS, worker_key
from common.redis.failures import is_no_group
from common.redis.server import now_ms
from common.redis.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage's work over all shards. `waiting` is not in hand yet; `oldest_s` counts both.

    It is None where something waits and we may not read it, to see since when.
    """

    waiting: int
    in_hand: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Census:
    """Everything `earshot status` shows."""

    stages: dict[str, Stage]
    open_sessions: int
    dead_letters: int
    workers: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def take_census(store: Store) -> Census:
    """Ask Redis; XLEN and XPENDING only, since XINFO STREAM would carry audio along."""
    redis: Any = store.redis
    now = await now_ms(redis)
    shards = store.all_shards()
    stages = {}
    for name, group in (
        ("utterances", STT_GROUP),
        ("recordings", STT_GROUP),
        ("turns", LLM_GROUP),
    ):
        parts = [await _stage(redis, getattr(shard, name), group, now) for shard in shards]
        stages[name] = Stage(
            sum(part.waiting for part in parts),
            sum(part.in_hand for part in parts),
            _oldest(part.oldest_s for part in parts),
        )
    return Census(
        stages,
        sum([await redis.zcard(shard.open) for shard in shards]),
        sum([await redis.xlen(shard.dead) for shard in shards]),
        await _workers(redis),
    )


async def pending(redis: Any, stream: str, group: str) -> tuple[int, bytes | None]:
    """How many entries of a stream are in hand, and the oldest of them."""
    try:
        summary = await redis.xpending(stream, group)
    except ResponseError as error:
        if not is_no_group(error):
            raise
        return 0, None  # no worker has ever started
    return int(summary["pending"]), summary["min"]


async def _stage(redis: Any, stream: str, group: str, now: int) -> Stage:
    length = await redis.xlen(stream)
    if length == 0:
        return Stage(0, 0, 0.0)
    in_hand, oldest = await pending(redis, stream, group)
    if oldest is None:
        try:
            rows = await redis.xrange(stream, count=1)
        except NoPermissionError:
            return Stage(length, 0, None)
        oldest = rows[0][0] if rows else None
    age_s = 0.0 if oldest is None else (now - added_at_ms(oldest)) / 1000
    return Stage(max(0, length - in_hand), in_hand, max(0.0, age_s))


def _oldest(ages_s: Iterable[float | None]) -> float | None:
    known = list(ages_s)
    return None if None in known else max(age_s for age_s in known if age_s is not None)


async def _workers(redis: Any) -> list[dict[str, Any]]:
    workers = []
    for name in await redis.zrange(WORKERS, 0, -1):
        raw = await redis.get(worker_key(name.decode("utf-8", "replace")))
        if raw is None:
            continue
        try:
            worker = json.loads(raw)
            worker["started_at"] = float(worker["started_at"])
            workers.append({"name": "", "role": "", "state": ""} | worker)
        except (ValueError, TypeError, KeyError):
            log.warning("bad_worker_entry", worker=name.decode("utf-8", "replace"))
    return sorted(workers, key=lambda worker: (str(worker["role"]), str(worker["name"])))
