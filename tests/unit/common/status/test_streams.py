"""What waits, what is in hand and what failed are told apart in each stream."""

from typing import Any

from common.keys import STT_GROUP, Shard
from common.redis.store import Store
from common.status.streams import Backlog, count_waiting, has_work, read_backlog
from common.transitions.claims import hand_back

STREAM = Shard(0).utterances


async def test_entries_count_as_what_they_are(clean_store: Store) -> None:
    redis: Any = clean_store.redis
    await redis.xgroup_create(STREAM, STT_GROUP, id="0", mkstream=True)
    for _ in range(7):
        await redis.xadd(STREAM, {"a": "1"})
    [(_, taken)] = await redis.xreadgroup(STT_GROUP, "stt-1", {STREAM: ">"}, count=6)
    ids = [entry.decode() for entry, _ in taken]
    await hand_back(clean_store, STREAM, STT_GROUP, "stt-1", ids[:1])
    await hand_back(clean_store, STREAM, STT_GROUP, "stt-1", ids[1:3], pause_s=100)
    backlog = await read_backlog(redis, STREAM, STT_GROUP, now_ms=0)
    assert backlog == Backlog(waiting=2, in_hand=3, oldest_s=0.0, deferred=2)
    assert await count_waiting(redis, STREAM, STT_GROUP) == 2
    await redis.xtrim(STREAM, maxlen=0)
    assert await has_work(redis, STREAM, STT_GROUP), "claims on what is gone are not settled yet"
    await redis.xack(STREAM, STT_GROUP, *ids)
    assert not await has_work(redis, STREAM, STT_GROUP)
