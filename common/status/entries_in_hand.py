"""Which worker holds which entries."""

from dataclasses import dataclass, field
from typing import Any, Final

from redis.exceptions import NoPermissionError

from common.entry_id import added_at_ms
from common.keys import LLM_GROUP, NOBODY
from common.redis.server import now_ms
from common.redis.store import Store
from common.status.streams import GROUPS, list_claims

MAX_CLAIMS: Final = 1_000
"""Claims that are read of each stream: more are in hand only with very many workers."""

MAX_SESSIONS: Final = 5
"""Sessions that are named for each worker."""


@dataclass(slots=True)
class InHandSummary:
    """What one worker holds. `oldest_s`: since its oldest entry was queued."""

    count: int = 0
    oldest_s: float = 0.0
    sessions: list[str] = field(default_factory=list)


async def read_entries_in_hand(store: Store) -> dict[str, InHandSummary]:
    """Return what each worker holds, by its name.

    Sessions are named for the LLM stage only: an entry of the STT stage would bring its audio.
    """
    redis: Any = store.redis
    workers: dict[str, InHandSummary] = {}
    for shard in store.all_shards():
        now = await now_ms(redis, shard.open)
        for name, group in GROUPS.items():
            stream = getattr(shard, name)
            for entry, worker in await list_claims(redis, stream, group, MAX_CLAIMS):
                if worker in NOBODY:
                    continue
                entries = workers.setdefault(worker, InHandSummary())
                entries.count += 1
                age_s = (now - added_at_ms(entry)) / 1000
                entries.oldest_s = max(entries.oldest_s, age_s)
                if group == LLM_GROUP and len(entries.sessions) < MAX_SESSIONS:
                    entries.sessions += await _session(redis, stream, entry)
    return workers


async def _session(redis: Any, stream: str, entry: bytes) -> list[str]:
    try:
        rows = await redis.xrange(stream, entry, entry, 1)
    except NoPermissionError:
        return []  # a viewer may only count
    return [fields.get(b"session", b"").decode("utf-8", "replace") for _, fields in rows]
