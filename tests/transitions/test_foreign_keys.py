"""A key of another type in the way is named in a sentence, and nothing is changed half way."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from common.errors import Refused
from common.redis.store import Store
from common.transitions.answering import Attempt, bury_turn, take_turn
from common.transitions.claims import Claim
from common.transitions.dead_letters import replay
from common.transitions.personas import set_persona
from common.transitions.publishing import abandon, commit, publish
from common.transitions.tending import forget, tend
from common.transitions.transcribing import bury_utterance
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    STT,
    bury,
    everything,
    hear,
    hear_eager,
    hear_text,
    read,
    redis,
    reply,
    settle,
    skip,
    spoken,
    take,
)

pytestmark = ON_BOTH_SERVERS

Transition = Callable[[], Awaitable[Any]]
OF_SESSION = [*SHARD.session_keys(ADA).values()]
OF_SHARD = [SHARD.open, SHARD.turns, SHARD.results]


async def to_publish(store: Store) -> Transition:
    return lambda: publish(store, spoken("u9"))


async def to_publish_text(store: Store) -> Transition:
    return lambda: publish(store, spoken("u9", text="hello"))


async def to_commit(store: Store) -> Transition:
    await hear_eager(store, "u9")
    return lambda: commit(store, ADA, "u9", 1)


async def to_abandon(store: Store) -> Transition:
    await hear_eager(store, "u9")
    return lambda: abandon(store, ADA, "u9")


async def to_settle_utterance(store: Store) -> Transition:
    await hear(store, "u1")
    work = await read(store)
    return lambda: settle(store, *work)


async def to_skip_utterance(store: Store) -> Transition:
    await hear(store, "u1")
    work = await read(store)
    return lambda: skip(store, *work)


async def to_bury_utterance(store: Store) -> Transition:
    await hear(store, "u1")
    work = await read(store)
    return lambda: bury(store, *work)


async def to_bury_what_names_no_session(store: Store) -> Transition:
    await redis(store).xadd(SHARD.utterances, {"x": "y"})
    claim, _ = await read(store)
    return lambda: bury_utterance(
        store,
        claim,
        session="",
        turn=None,
        utterance="",
        reason="r",
        error="e",
        deliveries=1,
        worker=STT,
    )


async def to_take_turn(store: Store) -> Transition:
    await hear_text(store, "u1")
    claim: Claim = (await read(store, SHARD.turns, LLM))[0]
    return lambda: take_turn(store, claim, ADA, token="t", max_merge=1, history=1)


async def attempt_of(store: Store) -> Attempt:
    await hear_text(store, "u1")
    return await take(store)


async def to_settle_turn(store: Store) -> Transition:
    attempt = await attempt_of(store)
    return lambda: reply(store, attempt)


async def to_bury_turn(store: Store) -> Transition:
    attempt = await attempt_of(store)
    return lambda: bury_turn(store, attempt, reason="r", error="e", deliveries=1, worker=LLM)


async def to_tend(store: Store) -> Transition:
    await hear(store, "u1")
    return lambda: tend(store, ADA)


async def to_forget(store: Store) -> Transition:
    await hear(store, "u1")
    return lambda: forget(store, ADA)


async def to_set_persona(store: Store) -> Transition:
    await hear(store, "u1")
    return lambda: set_persona(store, ADA, "guide")


async def to_replay(store: Store) -> Transition:
    letter = await redis(store).xadd(SHARD.dead, {"session": ADA, "audio": "x"})
    return lambda: replay(store, SHARD, letter.decode(), session=ADA, utterance="u9")


KEYS = {
    to_publish: [*OF_SESSION, SHARD.utterances, SHARD.seen("u9")],
    to_publish_text: [*OF_SESSION, SHARD.utterances, SHARD.seen("u9")],
    to_commit: [*OF_SESSION, SHARD.seen("u9")],
    to_abandon: [*OF_SESSION, SHARD.seen("u9"), SHARD.utterances, SHARD.recordings],
    to_settle_utterance: [*OF_SESSION, SHARD.utterances],
    to_skip_utterance: [*OF_SESSION, SHARD.utterances],
    to_bury_utterance: [*OF_SHARD, SHARD.utterances, SHARD.dead],
    to_bury_what_names_no_session: [SHARD.utterances, SHARD.dead],
    to_take_turn: OF_SESSION,
    to_settle_turn: OF_SESSION,
    to_bury_turn: [*OF_SESSION, SHARD.dead],
    to_tend: [*OF_SESSION, SHARD.utterances, SHARD.recordings],
    to_forget: [*OF_SESSION, SHARD.utterances, SHARD.recordings],
    to_set_persona: OF_SESSION,
    to_replay: [*OF_SESSION, SHARD.utterances, SHARD.seen("u9"), SHARD.dead],
}
CASES = [
    pytest.param(prepare, key, id=f"{prepare.__name__} {key.split(':', 2)[2]}")
    for prepare, keys in KEYS.items()
    for key in keys
]


@pytest.mark.parametrize(("prepare", "key"), CASES)
async def test_a_foreign_key_is_refused_and_nothing_changed(
    clean_store: Store, prepare: Callable[[Store], Awaitable[Transition]], key: str
) -> None:
    transition = await prepare(clean_store)
    await redis(clean_store).delete(key)
    await redis(clean_store).sadd(key, "foreign")
    before = await everything(clean_store)
    with pytest.raises(Refused) as refused:
        await transition()
    assert f"the key {key} holds a set" in str(refused.value)
    assert "rename or delete it" in str(refused.value)
    assert await everything(clean_store) == before
