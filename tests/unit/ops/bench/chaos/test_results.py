"""How long people waited is read from the results stream: from the end of speech to the reply."""

import json
from typing import Any

from common.keys import Shard
from common.redis.store import Store
from ops.bench.chaos.results import ReplyTimes, read_reply_times

SHARD = Shard(0)


async def emit(store: Store, kind: str, session: str, turn: int, at: int, **data: Any) -> None:
    redis: Any = store.redis
    fields = {
        "v": 1,
        "type": kind,
        "session": session,
        "epoch": 1,
        "turn": turn,
        "id": f"{session}-{turn}",
        "at": at,
        "data": json.dumps(data),
    }
    await redis.xadd(SHARD.results, fields)


async def test_a_merged_utterance_waits_for_the_reply_to_the_one_it_was_merged_into(
    store: Store,
) -> None:
    for turn, spoken_at in ((1, 1_000), (2, 1_100), (3, 5_000)):
        await emit(store, "heard", "ada", turn, spoken_at + 5, spoken_at=spoken_at)
    await emit(store, "skipped", "ada", 1, 1_390, reason="merged", into=2)
    await emit(store, "reply", "ada", 2, 1_400, text="both")
    await emit(store, "reply", "ada", 3, 5_030, text="one")
    times = await read_reply_times(store, {"ada"})
    assert sorted(times.times_ms) == [30, 300, 400]


async def test_only_what_was_answered_in_these_sessions_counts(store: Store) -> None:
    for session in ("ada", "bob"):
        for turn in (1, 2, 3):
            await emit(store, "heard", session, turn, 1_000, spoken_at=1_000)
        await emit(store, "reply", session, 1, 1_500, text="yes")
        await emit(store, "skipped", session, 2, 9_000, reason="noise")
        await emit(store, "error", session, 3, 9_000, stage="llm", reason="failed", error="500")
    assert (await read_reply_times(store, {"ada"})).times_ms == (500,)


def test_median_and_p95_of_many_and_of_none() -> None:
    times = ReplyTimes(tuple(float(ms) for ms in range(1, 102)))
    assert times.as_dict() == {"count": 101, "median_ms": 51, "p95_ms": 96}
    assert ReplyTimes().as_dict() == {"count": 0, "median_ms": None, "p95_ms": None}
