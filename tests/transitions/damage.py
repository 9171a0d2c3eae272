"""Damage to a session, and what is done until it has healed."""

import json
from typing import Any

from common.redis.store import Store
from common.transitions.answering import Attempt, take_turn
from common.transitions.tending import tend
from tests.transitions.steps import (
    ADA,
    LLM,
    SHARD,
    assert_at_rest,
    make_group,
    next_ms,
    pending,
    read,
    record,
    redis,
    reply,
    settle,
)


async def corrupt(store: Store, corruption: bytes | dict[str, Any], turn: int = 1) -> None:
    """Change the record of a turn as no script would; a value of None removes a field."""
    if not isinstance(corruption, bytes):
        changed = (await record(store, turn) or {}) | corruption
        changed = {name: value for name, value in changed.items() if value is not None}
        corruption = json.dumps(changed).encode()
    await redis(store).hset(SHARD.inbox(ADA), turn, corruption)


async def answer_all(store: Store) -> None:
    """Tend, then transcribe and answer what there is, until nothing is unfinished."""
    for number in range(4):
        await next_ms(store)
        await tend(store, ADA)
        while await waits(store, SHARD.utterances):
            await settle(store, *await read(store))
        while await waits(store, SHARD.turns):
            claim, _ = await read(store, SHARD.turns, LLM)
            attempt = await take_turn(store, claim, ADA, token=f"a{number}", max_merge=1, history=0)
            if isinstance(attempt, Attempt):
                await reply(store, attempt)
    await assert_at_rest(store)


async def waits(store: Store, stream: str) -> bool:
    """Whether a work stream has an entry that nobody holds."""
    await make_group(store, stream)
    return bool(await redis(store).xlen(stream) > len(await pending(store, stream)))
