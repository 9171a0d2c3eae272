"""A dead letter is replayed once, as a new utterance that says where it came from, or stays."""

import json

import pytest

from common.errors import Refused
from common.events import Heard
from common.redis.store import Store
from common.transitions.answering import bury_turn
from common.transitions.dead_letters import drop_letter, replay
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    bury,
    events,
    everything,
    hear,
    hear_text,
    limited,
    read,
    record,
    redis,
    settle,
    spoken,
    story,
    take,
    ttl,
    wakes,
)

pytestmark = ON_BOTH_SERVERS
PARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


async def bury_audio(store: Store, **changes: object) -> str:
    """An utterance that could not be transcribed; returns its letter."""
    await hear(store, "u1", **changes)
    await bury(store, *await read(store))
    return await last_letter(store)


async def bury_text(store: Store, **changes: object) -> str:
    """A turn that could not be answered; returns its letter."""
    await hear_text(store, "u1", **changes)
    attempt = await take(store)
    await bury_turn(store, attempt, reason="r", error="e", deliveries=5, worker="llm-1")
    return await last_letter(store)


async def last_letter(store: Store) -> str:
    [(entry, _)] = await redis(store).xrevrange(SHARD.dead, count=1)
    return str(entry.decode())


async def test_replayed_audio_is_a_new_utterance(clean_store: Store) -> None:
    letter = await bury_audio(
        clean_store, revision=4, speech_ms=700, persona="pirate", traceparent=PARENT, hold_ms=9
    )
    answer = await replay(clean_store, SHARD, letter, session=ADA, utterance="again")
    assert answer is not None
    assert (answer.verdict, answer.turn) == (Verdict.ACCEPTED, 2)
    assert await redis(clean_store).xlen(SHARD.dead) == 0

    heard = (await events(clean_store))[-1]
    assert isinstance(heard, Heard)
    assert (heard.id, heard.turn, heard.data.replay_of) == ("again", 2, "u1")
    assert (heard.data.speech_ms, heard.data.spoken_at) == (700, heard.at)

    claim, fields = await read(clean_store)
    utterance = Utterance.from_fields(fields, max_audio=100)
    assert (utterance.id, utterance.turn, utterance.revision) == ("again", 2, 1)
    assert (utterance.final, utterance.audio, utterance.hold_ms) == (True, b"u1", 0)
    assert (utterance.persona, utterance.traceparent) == ("pirate", PARENT)
    assert utterance.replay_of == "u1"
    foreign = {b"stage", b"reason", b"error", b"deliveries", b"worker", b"at", b"entry"}
    assert not foreign & fields.keys()
    await settle(clean_store, claim, fields)
    assert await wakes(clean_store) == ["2"]


async def test_a_replayed_text_is_not_transcribed_again(clean_store: Store) -> None:
    letter = await bury_text(clean_store, persona="pirate", speech_ms=700, language="en")
    await replay(clean_store, SHARD, letter, session=ADA, utterance="again")
    assert (await story(clean_store))[-2:] == ["heard 2", "transcript 2 u1"]
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await redis(clean_store).xlen(SHARD.dead) == 0
    attempt = await take(clean_store, "t2")
    [turn] = attempt.turns
    assert (turn.utterance, turn.persona) == ("again", "pirate")
    [record] = await redis(clean_store).hvals(SHARD.inbox(ADA))
    assert json.loads(record)["language"] == "en"
    assert attempt.number == 1


async def test_a_transcript_only_stays_one(clean_store: Store) -> None:
    letter = await bury_audio(clean_store, answer=False)
    await replay(clean_store, SHARD, letter, session=ADA, utterance="again")
    await settle(clean_store, *await read(clean_store))
    assert (await story(clean_store))[-1] == "skipped 2 transcript_only"


async def test_a_letter_is_replayed_once(clean_store: Store) -> None:
    letter = await bury_audio(clean_store)
    await replay(clean_store, SHARD, letter, session=ADA, utterance="again")
    before = await everything(clean_store)
    assert await replay(clean_store, SHARD, letter, session=ADA, utterance="again") is None
    assert await replay(clean_store, SHARD, letter, session=ADA, utterance="and-again") is None
    assert await everything(clean_store) == before


async def test_what_was_replayed_is_recognised(clean_store: Store) -> None:
    letter = await bury_audio(clean_store)
    await replay(clean_store, SHARD, letter, session=ADA, utterance="again")
    assert await ttl(clean_store, SHARD.seen("again")) > 0
    assert (await publish(clean_store, spoken("again"))).verdict is Verdict.DUPLICATE


@pytest.mark.parametrize("limit", [{"max_backlog": 1}, {"max_unanswered": 1}])
async def test_a_letter_stays_while_there_is_no_room(
    clean_store: Store, limit: dict[str, int]
) -> None:
    letter = await bury_audio(clean_store)
    await hear(clean_store, "u2")
    before = await everything(clean_store)
    store = limited(clean_store, **limit)
    answer = await replay(store, SHARD, letter, session=ADA, utterance="again")
    assert answer is not None
    assert answer.verdict is Verdict.FULL
    assert answer.why
    assert await everything(clean_store) == before


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"session": "no\nsession", "audio": "x"}, "names no usable session"),
        ({"audio": "x"}, "names no usable session"),
        ({"session": ADA}, "neither audio nor a text"),
    ],
)
async def test_what_cannot_be_replayed_is_refused(
    clean_store: Store, fields: dict[str, str], sentence: str
) -> None:
    await redis(clean_store).xadd(SHARD.dead, fields)
    letter = await last_letter(clean_store)
    before = await everything(clean_store)
    with pytest.raises(Refused, match=sentence):
        await replay(clean_store, SHARD, letter, session=ADA, utterance="again")
    assert await everything(clean_store) == before


async def test_a_session_that_began_anew_takes_a_replay(clean_store: Store) -> None:
    letter = await bury_audio(clean_store)
    await redis(clean_store).delete(SHARD.session(ADA), SHARD.inbox(ADA))
    answer = await replay(clean_store, SHARD, letter, session=ADA, utterance="again")
    assert answer is not None
    assert (answer.verdict, answer.turn) == (Verdict.ACCEPTED, 1)
    found = await record(clean_store, 1)
    assert found is not None
    assert found["replay_of"] == "u1"


async def test_a_dropped_letter_is_gone(clean_store: Store) -> None:
    letter = await bury_text(clean_store)
    assert await drop_letter(clean_store, SHARD, letter) is True
    assert await redis(clean_store).xlen(SHARD.dead) == 0
    assert await drop_letter(clean_store, SHARD, letter) is False
