"""Who holds what: the entries in the hands of each worker."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from common.keys import HANDED_BACK, LLM_GROUP, STT_GROUP
from common.redis.failures import is_no_group
from common.redis.server import now_ms
from common.redis.store import Store

LOOKED_AT: Final = 1_000
"""Claims of a stream that are looked at: more are in hand only with very many workers."""

SESSIONS: Final = 5
"""Sessions of a worker that are named."""


@dataclass(slots=True)
class Holding:
    """What one worker holds. `oldest_s`: since its oldest entry was queued."""

    count: int = 0
    oldest_s: float = 0.0
    sessions: list[str] = field(default_factory=list)


async def holdings(store: Store) -> dict[str, dict[str, Any]]:
    """By worker. Sessions are named for the LLM stage only: STT's entries carry audio along."""
    redis: Any = store.redis
    now = await now_ms(redis)
    found: dict[str, Holding] = {}
    for shard in store.all_shards():
        for stream, group in (
            (shard.utterances, STT_GROUP),
            (shard.recordings, STT_GROUP),
            (shard.turns, LLM_GROUP),
        ):
            for row in await _claims(redis, stream, group):
                entry, worker = row["message_id"], row["consumer"].decode("utf-8", "replace")
                if worker == HANDED_BACK:
                    continue
                holding = found.setdefault(worker, Holding())
                holding.count += 1
                age_s = (now - int(entry.split(b"-")[0])) / 1000
                holding.oldest_s = max(holding.oldest_s, age_s)
                if group == LLM_GROUP and len(holding.sessions) < SESSIONS:
                    holding.sessions += await _session(redis, stream, entry)
    return {worker: asdict(holding) for worker, holding in found.items()}


async def _claims(redis: Any, stream: str, group: str) -> list[dict[str, Any]]:
    try:
        return list(await redis.xpending_range(stream, group, "-", "+", LOOKED_AT))
    except ResponseError as error:
        if not is_no_group(error):
            raise
        return []  # no group yet: no worker has ever started


async def _session(redis: Any, stream: str, entry: bytes) -> list[str]:
    try:
        rows = await redis.xrange(stream, entry, entry, 1)
    except NoPermissionError:
        return []  # a viewer counts only
    return [fields.get(b"session", b"").decode("utf-8", "replace") for _, fields in rows]
