"""Many sessions at once, by real transitions.

`python -m tests.browser.many_sessions URL SESSIONS RATE S`:
Every session gets one turn as fast as that goes; then turns come at RATE events a second for S
seconds. A turn is five events: heard, transcript, two pieces of the reply, the reply. What was
published is printed at the end as JSON.
"""

import asyncio
import json
import sys
import time
import uuid
from typing import Any, Final

from common.keys import LLM_GROUP, Shard
from common.redis.client import connect
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.answering import Attempt, delta, settle_turn, take_turn
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.utterance import Utterance

EVENTS_A_TURN: Final = 5
AT_ONCE: Final = 16
SHARD: Final = Shard(0)
QUESTION: Final = "What is the weather like in town number {} today, and shall I take a coat along?"
PIECES: Final = (
    "In here it is mild, with light jitter; ",
    "for outside, ask somebody with a window.",
)


async def turn(store: Store, session: str, number: int) -> None:
    """One turn from its question to its answer."""
    text = QUESTION.format(number)
    await publish(store, Utterance(id=uuid.uuid4().hex, session=session, text=text, source="crowd"))
    redis: Any = store.redis
    rows = await redis.xreadgroup(LLM_GROUP, "llm-crowd", {SHARD.turns: ">"}, count=1)
    entry, fields = rows[0][1][0]
    claim = Claim(SHARD, SHARD.turns, entry.decode(), "llm-crowd")
    session = fields[b"session"].decode()
    attempt = await take_turn(store, claim, session, token=uuid.uuid4().hex, max_merge=1, history=0)
    assert isinstance(attempt, Attempt)
    for index, piece in enumerate(PIECES):
        await delta(store, attempt, index, piece)
    await settle_turn(
        store,
        attempt,
        text="".join(PIECES),
        detail={"model": "crowd", "worker": "llm-crowd", "finish_reason": "stop"},
        first_token_ms=5,
        keep=0,
        messages=[],
    )


async def main(url: str, sessions: int, rate: float, seconds: float) -> None:
    """Several turns at once: on a busy machine one after the other would not come fast enough."""
    store = Store(connect(RedisSettings(url=url)), 1, LimitSettings())
    redis: Any = store.redis
    await redis.xgroup_create(SHARD.turns, LLM_GROUP, "0", mkstream=True)
    numbers: asyncio.Queue[int] = asyncio.Queue()

    async def speak() -> None:
        while True:
            number = await numbers.get()
            await turn(store, f"room-{number * 37 % sessions:04}", number)
            numbers.task_done()

    async with asyncio.TaskGroup() as group:
        speakers = [group.create_task(speak()) for _ in range(AT_ONCE)]
        for number in range(sessions):
            numbers.put_nowait(number)
        await numbers.join()
        print("seeded", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        start, turns = time.monotonic(), 0
        while (elapsed := time.monotonic() - start) < seconds:
            while turns * EVENTS_A_TURN < elapsed * rate:
                numbers.put_nowait(sessions + turns)
                turns += 1
            await asyncio.sleep(0.005)
        await numbers.join()
        took_s = time.monotonic() - start
        for speaker in speakers:
            speaker.cancel()
    last = sessions + turns - 1
    print(json.dumps({"last": last, "events_per_s": round(turns * EVENTS_A_TURN / took_s)}))
    await store.redis.aclose()


if __name__ == "__main__":
    _, url, sessions, rate, seconds = sys.argv
    asyncio.run(main(url, int(sessions), float(rate), float(seconds)))
