"""Turns for a command to show: what was said to a session, and what it answered."""

import uuid
from typing import Any

from common.keys import LLM_GROUP, Shard
from common.redis.store import Store
from common.transitions.answering import Attempt, delta, settle_turn, take_turn
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.integration.conftest import with_store
from tests.support.redis_server import RedisServer

SHARD = Shard(0)


def say(server: RedisServer, *texts: str, session: str = "s1", shards: int = 1) -> None:
    async def act(store: Store) -> None:
        for text in texts:
            utterance = Utterance(id=uuid.uuid4().hex, session=session, text=text)
            await publish(store, utterance)

    with_store(server, act, shards)


def answer(server: RedisServer, session: str, text: str) -> None:
    """As an LLM worker does: take, two deltas, settle."""

    async def act(store: Store) -> None:
        redis: Any = store.redis
        await redis.xgroup_create(SHARD.turns, LLM_GROUP, "0", mkstream=True)
        rows = await redis.xreadgroup(LLM_GROUP, "llm-1", {SHARD.turns: ">"}, count=1)
        claim = Claim(SHARD, SHARD.turns, rows[0][1][0][0].decode(), "llm-1")
        attempt = await take_turn(store, claim, session, token="t", max_merge=1, history=0)
        assert isinstance(attempt, Attempt)
        for index, piece in enumerate(text.split()):
            await delta(store, attempt, index, piece)
        await settle_turn(
            store,
            attempt,
            text=text,
            detail={"model": "m"},
            first_token_ms=1,
            keep=2,
            messages=[],
        )

    with_store(server, act)
