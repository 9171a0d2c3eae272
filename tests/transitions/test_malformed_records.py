"""A record that cannot be read ends its own turn, as lost, and nothing else: the other turns of its
session are answered. A session whose counters cannot be right is refused, and can be forgotten.
"""

import json
from typing import Any, Final

import pytest

from common.errors import Refused
from common.redis.store import Store
from common.transitions.answering import Attempt, bury_turn, delta, newer_speech, take_turn
from common.transitions.claims import Claim, Settled
from common.transitions.publishing import PUBLISH, Verdict, abandon, commit, keep_open, publish
from common.transitions.tending import forget, tend
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    assert_at_rest,
    bury,
    events,
    everything,
    hear,
    hear_eager,
    hear_text,
    make_group,
    next_ms,
    pending,
    read,
    record,
    redis,
    reply,
    settle,
    spoken,
    state,
    story,
    take,
    take_again,
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


IMPOSSIBLE: Final[dict[str, dict[str, str | bytes]]] = {
    "turns in words": {"last": "many"},
    "no Unicode": {"done": b"\xff\xff"},
    "a negative number": {"done": "-4"},
    "a fraction": {"last": "2.5"},
    "infinity": {"last": "inf"},
    "not a number": {"done": "nan"},
    "more turns than can be counted": {"last": "9" * 300},
    "far more unfinished turns than a session can have": {"last": "900000000"},
    "more ended than begun": {"done": "900"},
    "taken in words": {"taken": "all"},
    "an attempt in words": {"attempt": "first"},
    "an epoch in words": {"epoch": "now"},
    "begun in words": {"started": "now"},
    "reached in words": {"reached": "far"},
}


@pytest.mark.parametrize("fields", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
async def test_counters_that_cannot_be_right_are_refused_and_nothing_changed(
    clean_store: Store, fields: dict[str, str]
) -> None:
    await hear_text(clean_store, "u1")
    await hear(clean_store, "u2")
    attempt = await take(clean_store, max_merge=1)
    audio, entry = await read(clean_store)
    await redis(clean_store).hset(SHARD.session(ADA), mapping=fields)
    before = await everything(clean_store)
    wake = (await pending(clean_store, SHARD.turns))[0]["message_id"].decode()
    for transition in (
        lambda: tend(clean_store, ADA),
        lambda: publish(clean_store, spoken("u3")),
        lambda: commit(clean_store, ADA, "u2", 1),
        lambda: abandon(clean_store, ADA, "u2"),
        lambda: settle(clean_store, audio, entry),
        lambda: reply(clean_store, attempt),
        lambda: bury_turn(clean_store, attempt, reason="r", error="e", deliveries=1, worker=LLM),
        lambda: take_again(clean_store, claim_of(wake), "t2"),
    ):
        with pytest.raises(Refused, match=r"the key earshot:\{0\}:session:ada"):
            await transition()
    assert await everything(clean_store) == before


def claim_of(entry: str) -> Claim:
    return Claim(SHARD, SHARD.turns, entry, LLM)


@pytest.mark.parametrize("fields", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
async def test_counters_that_cannot_be_right_can_be_forgotten(
    clean_store: Store, fields: dict[str, str]
) -> None:
    await hear_text(clean_store, "u1")
    await hear(clean_store, "u2")
    await redis(clean_store).hset(SHARD.session(ADA), mapping=fields)
    assert await forget(clean_store, ADA) == 2
    assert (await story(clean_store))[-2:] == ["skipped 1 forgotten", "skipped 2 forgotten"]
    for key in (SHARD.session(ADA), SHARD.inbox(ADA), SHARD.open, SHARD.turns):
        assert not await redis(clean_store).exists(key) or not await redis(clean_store).xlen(key)
    await hear_text(clean_store, "u3")
    await reply(clean_store, await take(clean_store))
    assert (await story(clean_store))[-1] == "reply 1 reply"


async def test_a_record_that_cannot_be_read_is_forgotten_with_its_session(
    clean_store: Store,
) -> None:
    await hear_text(clean_store, "u1", "u2")
    await corrupt(clean_store, b"garbage")
    await redis(clean_store).hset(SHARD.inbox(ADA), "no turn", "garbage")
    assert await forget(clean_store, ADA) == 2
    assert (await story(clean_store))[-2:] == ["skipped 1 forgotten", "skipped 2 forgotten"]


async def test_audio_for_a_session_that_cannot_be_read_is_a_dead_letter(
    clean_store: Store,
) -> None:
    """It must not come back to the workers again and again."""
    await hear(clean_store, "u1")
    await redis(clean_store).hset(SHARD.session(ADA), "last", "many")
    claim, fields = await read(clean_store)
    assert await bury(clean_store, claim, fields) is Settled.STALE
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await redis(clean_store).xlen(SHARD.dead) == 1
    await redis(clean_store).hset(SHARD.session(ADA), "last", 1)
    await next_ms(clean_store)
    assert await tend(clean_store, ADA) == ["lost"]
    await assert_at_rest(clean_store)


async def test_no_delta_looks_through_turns_without_end(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    attempt = await take(clean_store)
    await redis(clean_store).hset(SHARD.session(ADA), "last", "900000000000000")
    assert (await newer_speech(clean_store, attempt)).held


async def test_turns_without_records_end_in_bounded_steps(clean_store: Store) -> None:
    """No script may run for long: Redis does nothing else meanwhile."""
    await hear_text(clean_store, "u1")
    await reply(clean_store, await take(clean_store))
    await redis(clean_store).hset(SHARD.session(ADA), "last", 90_000)
    await next_ms(clean_store)
    with pytest.raises(Refused, match="turns in a row have no record"):
        await tend(clean_store, ADA)


@pytest.mark.parametrize("key", [SHARD.session(ADA), SHARD.inbox(ADA), SHARD.history(ADA)])
async def test_audio_for_a_session_with_a_foreign_key_is_a_dead_letter(
    clean_store: Store, key: str
) -> None:
    await hear(clean_store, "u1")
    await redis(clean_store).delete(key)
    await redis(clean_store).sadd(key, "foreign")
    claim, fields = await read(clean_store)
    with pytest.raises(Refused):
        await settle(clean_store, claim, fields)
    assert await bury(clean_store, claim, fields) is Settled.STALE
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await redis(clean_store).xlen(SHARD.dead) == 1


META: Final[dict[str, Any]] = {
    "speech in words": {"speech_ms": "long"},
    "a sentence": "hello",
    "a persona that is a number": {"persona": 3},
    "an answer in words": {"answer": "no"},
    "null": {"source": None},
    "details in a sentence": {"detail": "x"},
}


@pytest.mark.parametrize("meta", META.values(), ids=META.keys())
async def test_what_makes_no_record_is_refused_before_anything_changes(
    clean_store: Store, meta: Any
) -> None:
    """A client in another language may send anything to the script."""
    before = await everything(clean_store)
    with pytest.raises(Refused):
        await publish_raw(clean_store, meta=json.dumps(meta))
    assert await everything(clean_store) == before


@pytest.mark.parametrize(
    "change",
    [
        {"meta": "garbage"},
        {"meta": '{"source": "\xff"}'.encode("latin-1")},
        {"meta": "[" * 5_000},
        {"has_text": "1", "text": b"\xff\xfe"},
        {"revision": "second"},
        {"hold_ms": "long"},
        {"hold_ms": "1.5"},
        {"seen_ttl_ms": "0"},
        {"seen_ttl_ms": "for ever"},
        {"fields": ["v"]},
        {"fields": ["v", "1"] * 129},
        {"fields": ["v", "1"] * 5_000},
    ],
)
async def test_arguments_that_make_no_entry_are_refused_before_anything_changes(
    clean_store: Store, change: dict[str, Any]
) -> None:
    before = await everything(clean_store)
    with pytest.raises(Refused):
        await publish_raw(clean_store, **change)
    assert await everything(clean_store) == before


async def publish_raw(store: Store, **change: Any) -> Any:
    """Publish as any client may that holds the script."""
    args: dict[str, Any] = {
        "utterance": "u1",
        "revision": 1,
        "final": 1,
        "hold_ms": 0,
        "seen_ttl_ms": 1_000,
        "max_backlog": 10,
        "max_unanswered": 10,
        "meta": "{}",
        "stream_name": "utterances",
        "has_text": "0",
        "text": "",
        "fields": ["v", "1"],
    }
    keys = {"stream": SHARD.utterances, "seen_key": SHARD.seen("u1")}
    return await store.run(PUBLISH, ADA, keys=keys, **(args | change))
