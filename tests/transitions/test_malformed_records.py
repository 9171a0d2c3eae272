"""A record that cannot be read ends its own turn, as lost, and nothing else: the other turns of its
session are answered.
"""

from typing import Any, Final

import pytest

from common.redis.store import Store
from common.transitions.answering import bury_turn, delta, newer_speech
from common.transitions.claims import Settled
from common.transitions.publishing import Verdict, abandon, commit, keep_open, publish
from common.transitions.tending import tend
from tests.transitions.damage import answer_all, corrupt
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    assert_at_rest,
    events,
    hear,
    hear_eager,
    hear_text,
    next_ms,
    redis,
    reply,
    spoken,
    state,
    story,
    take,
)

pytestmark = ON_BOTH_SERVERS

CHANGES: Final[dict[str, dict[str, Any]]] = {
    "no id": {"id": None},
    "an id that is a number": {"id": 7},
    "an id that is yes": {"id": True},
    "no end of speech": {"spoken": None},
    "an end of speech in words": {"spoken": "yesterday"},
    "an end of speech with a fraction": {"spoken": 1.5},
    "no time of publishing": {"published": None},
    "no sign of life": {"touched": None},
    "a sign of life that is a list": {"touched": [1]},
    "a text that is a list": {"text": ["a", "b"]},
    "a text that is a number": {"text": 5},
    "a reason to skip that is a number": {"skip": 1},
    "an error that is a sentence": {"error": "it failed"},
    "an error without a reason": {"error": {"stage": "stt", "error": "x", "deliveries": 1}},
    "an entry that is no id": {"entry": "the first one"},
    "an entry beyond 64 bits": {"entry": f"{9**30}-1"},
    "an entry that is a number": {"entry": 12},
    "final in words": {"final": "yes"},
    "details in a sentence": {"detail": "good"},
    "a persona that is an object": {"persona": {}},
    "an answer in words": {"answer": "no"},
    "speech as text": {"speech_ms": "900"},
}
RAW: Final[dict[str, bytes]] = {
    "nothing": b"",
    "no JSON": b"garbage",
    "half of it": b'{"id":"u1","rev":1,"fin',
    "a list": b"[1,2]",
    "a number": b"12",
    "null": b"null",
    "null bytes": b"\0" * 20,
    "deep nesting": b'{"id":"u1","x":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    "no Unicode": b'{"id":"\xff\xfe","spoken":1,"published":1,"touched":1,"text":"a","final":true}',
    "half a surrogate": b'{"id":"u1","spoken":1,"published":1,"touched":1,"text":"\\ud800"}',
    "infinity": b'{"id":"u1","spoken":1e999,"published":1,"touched":1,"text":"a","final":true}',
    "not a number": b'{"id":"u1","spoken":NaN,"published":1,"touched":1,"text":"a","final":true}',
    "an unknown field that cannot be written again": b'{"id":"u1","spoken":1,"published":1,'
    b'"touched":1,"text":"a","final":true,"later":-1e999}',
}
CORRUPTIONS: Final = [
    *(pytest.param(change, id=name) for name, change in CHANGES.items()),
    *(pytest.param(raw, id=name) for name, raw in RAW.items()),
]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
async def test_a_turn_that_waits_for_its_transcript(
    clean_store: Store, corruption: bytes | dict[str, Any]
) -> None:
    await hear(clean_store, "u1", "u2")
    await corrupt(clean_store, corruption)
    await answer_all(clean_store)
    assert (await story(clean_store))[-3:] == ["error 1 lost", "transcript 2 u2", "reply 2 reply"]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
async def test_a_turn_that_waits_for_its_answer(
    clean_store: Store, corruption: bytes | dict[str, Any]
) -> None:
    await hear_text(clean_store, "u1", "u2")
    await corrupt(clean_store, corruption)
    await answer_all(clean_store)
    assert (await story(clean_store))[-2:] == ["error 1 lost", "reply 2 reply"]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
async def test_a_turn_that_is_being_spoken(
    clean_store: Store, corruption: bytes | dict[str, Any]
) -> None:
    await hear_eager(clean_store)
    await hear_text(clean_store, "u2")
    await corrupt(clean_store, corruption)
    assert await keep_open(clean_store, ADA, "u1") is False
    assert (await commit(clean_store, ADA, "u1", 1)).outcome.value == "closed"
    assert (await publish(clean_store, spoken("u1", revision=2))).verdict is Verdict.CLOSED
    assert await abandon(clean_store, ADA, "u1") is False
    await answer_all(clean_store)
    ended = [line for line in await story(clean_store) if not line.startswith("heard")]
    assert sorted(ended) == ["error 1 lost", "reply 2 reply", "transcript 2 u2"]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
async def test_a_turn_that_is_being_answered(
    clean_store: Store, corruption: bytes | dict[str, Any]
) -> None:
    """Its reply is known, so it ends in it."""
    await hear_text(clean_store, "u1", "u2")
    attempt = await take(clean_store, max_merge=1)
    await corrupt(clean_store, corruption)
    assert (await delta(clean_store, attempt, 0, "re")).held
    assert (await newer_speech(clean_store, attempt)).newer_speech
    assert await reply(clean_store, attempt) is Settled.OK
    await answer_all(clean_store)
    ended = [line for line in await story(clean_store) if line.startswith("reply")]
    assert ended == ["reply 1 reply", "reply 2 reply"]


async def test_what_was_taken_ends_once_whatever_became_of_its_records(clean_store: Store) -> None:
    await hear_text(clean_store, "u1", "u2", "u3")
    attempt = await take(clean_store)
    for turn in (1, 3):
        await corrupt(clean_store, b"garbage", turn)
    assert await reply(clean_store, attempt) is Settled.OK
    ended = [line for line in await story(clean_store) if line.startswith(("reply", "skipped"))]
    assert ended == ["skipped 1 merged 3", "skipped 2 merged 3", "reply 3 reply"]
    await assert_at_rest(clean_store)


async def test_what_is_buried_ends_once_whatever_became_of_its_records(clean_store: Store) -> None:
    await hear_text(clean_store, "u1", "u2")
    attempt = await take(clean_store)
    await corrupt(clean_store, b"garbage", 1)
    buried = await bury_turn(
        clean_store, attempt, reason="poison", error="e", deliveries=1, worker=LLM
    )
    assert buried is Settled.OK
    assert (await story(clean_store))[-2:] == ["error 1 lost", "error 2 poison"]
    assert await redis(clean_store).xlen(SHARD.dead) == 1
    await assert_at_rest(clean_store)


async def test_an_attempt_does_not_bring_back_what_ended_meanwhile(clean_store: Store) -> None:
    await hear_text(clean_store, "u1", "u2", "u3")
    attempt = await take(clean_store, max_merge=1)
    for turn in (1, 2):
        await corrupt(clean_store, b"garbage", turn)
    await next_ms(clean_store)
    assert (await tend(clean_store, ADA))[:2] == ["lost", "lost"]
    await reply(clean_store, attempt)
    assert (await state(clean_store))["done"] == "2"
    await answer_all(clean_store)
    assert sum(line.startswith("error") for line in await story(clean_store)) == 2


async def test_a_wake_up_that_is_no_entry_is_made_again(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    await redis(clean_store).delete(SHARD.turns)
    for wake in ("no entry", f"{9**30}-0", ""):
        await redis(clean_store).hset(SHARD.session(ADA), "wake", wake)
        await next_ms(clean_store)
        assert await tend(clean_store, ADA) == ["woken"]
    await answer_all(clean_store)


@pytest.mark.parametrize(
    "message", [b"garbage", b"\xff", b"[1]", b'{"role": 1}', b"[" * 100_000, b'{"role":"user"}']
)
async def test_a_message_that_cannot_be_read_is_left_out(
    clean_store: Store, message: bytes
) -> None:
    await hear_text(clean_store, "u1")
    await reply(clean_store, await take(clean_store))
    await redis(clean_store).lset(SHARD.history(ADA), 0, message)
    await hear_text(clean_store, "u2")
    attempt = await take(clean_store)
    assert attempt.history == ({"role": "assistant", "content": "reply"},)


async def test_an_epoch_that_is_lost_breaks_no_event(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    await redis(clean_store).hdel(SHARD.session(ADA), "epoch")
    await reply(clean_store, await take(clean_store))
    assert [event.epoch > 0 for event in await events(clean_store)] == [True, True, False]
