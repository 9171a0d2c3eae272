"""One attempt at a time has effect, it settles exactly the turns that it was given, replies come in
the order spoken, and a session always goes on to its next turn."""

from collections.abc import Awaitable, Callable

import pytest

from common.events import Error, Reply, ReplyDelta
from common.redis.store import Store
from common.transitions.answering import (
    Attempt,
    bury_turn,
    delta,
    newer_speech,
    settle_turn,
)
from common.transitions.claims import Settled
from common.transitions.publishing import publish
from common.transitions.tending import forget
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    assert_at_rest,
    claim_over,
    events,
    everything,
    hear,
    hear_eager,
    hear_text,
    history,
    limited,
    pending,
    read,
    redis,
    reply,
    settle,
    skip,
    spoken,
    story,
    take,
    take_again,
    transcribe,
    ttl,
    wakes,
)

pytestmark = ON_BOTH_SERVERS
OLD_MS = 60_000


async def bury(store: Store, attempt: Attempt) -> Settled:
    return await bury_turn(
        store, attempt, reason="refused", error="It is too long.", deliveries=1, worker=LLM
    )


ENDS = pytest.mark.parametrize("end", [reply, bury])
End = Callable[[Store, Attempt], Awaitable[Settled]]


async def endings(store: Store) -> list[str]:
    """The story without what was heard and transcribed."""
    return [line for line in await story(store) if line.split()[0] not in ("heard", "transcript")]


async def test_a_reply_ends_all_that_was_taken_and_nothing_else(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b")
    attempt = await take(clean_store)
    await hear_text(clean_store, "c")
    assert await reply(clean_store, attempt) is Settled.OK
    assert await endings(clean_store) == ["skipped 1 merged 2", "reply 2 reply"]
    assert [turn.text for turn in (await take(clean_store, "t2")).turns] == ["c"]


async def test_the_reply_event_tells_all(clean_store: Store) -> None:
    await hear_text(clean_store, "a", hold_ms=50)
    attempt = await take(clean_store)
    settled = await settle_turn(
        clean_store,
        attempt,
        text="hello",
        detail={"model": "m", "finish_reason": "stop", "usage": {"total_tokens": 7}, "worker": LLM},
        first_token_ms=20,
        keep=10,
        messages=[],
    )
    assert settled is Settled.OK
    event = (await events(clean_store))[-1]
    assert isinstance(event, Reply)
    assert (event.turn, event.id, event.epoch) == (1, "a", attempt.epoch)
    assert (event.data.text, event.data.model, event.data.finish_reason) == ("hello", "m", "stop")
    assert (event.data.attempt, event.data.interrupted, event.data.worker) == (1, False, LLM)
    assert event.data.usage is not None
    assert event.data.usage.total_tokens == 7
    timings = event.data.timings
    assert timings.published == 50
    assert timings.llm_started is not None
    assert timings.done is not None
    assert timings.first_token == timings.done - 20
    assert 50 <= timings.llm_started <= timings.done


async def test_a_reply_without_a_token_has_no_first_token(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    await settle_turn(
        clean_store, attempt, text="", detail={}, first_token_ms=None, keep=0, messages=[]
    )
    event = (await events(clean_store))[-1]
    assert isinstance(event, Reply)
    assert event.data.timings.first_token is None


@ENDS
async def test_after_the_last_turn_the_session_is_at_rest(clean_store: Store, end: End) -> None:
    await hear_text(clean_store, "a", "b")
    await end(clean_store, await take(clean_store))
    await assert_at_rest(clean_store)
    assert await pending(clean_store, SHARD.turns) == []


async def test_the_history_grows_and_is_trimmed(clean_store: Store) -> None:
    for name in ("a", "b", "c"):
        await hear_text(clean_store, name)
        await reply(clean_store, await take(clean_store, name), name.upper(), keep=4)
    assert await history(clean_store) == ["b", "B", "c", "C"]

    await hear_text(clean_store, "d")
    attempt = await take(clean_store, history=3)
    assert [message["content"] for message in attempt.history] == ["B", "c", "C"]
    assert attempt.history[0]["role"] == "assistant"


async def test_no_history_is_kept_when_none_is_wanted(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store, history=0)
    await reply(clean_store, attempt, keep=0)
    assert await history(clean_store) == []


async def test_a_history_expires_only_with_a_session_at_rest(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await reply(clean_store, await take(clean_store))
    assert await ttl(clean_store, SHARD.history(ADA)) > 0
    await hear(clean_store, "b")
    assert await ttl(clean_store, SHARD.history(ADA)) == -1
    assert await ttl(clean_store, SHARD.session(ADA)) == -1


@ENDS
async def test_a_newer_attempt_voids_the_older_one(clean_store: Store, end: End) -> None:
    await hear_text(clean_store, "a")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    older = await take_again(clean_store, claim, "t1")
    theirs = await claim_over(clean_store, claim, "llm-2")
    await hear_text(clean_store, "b")
    newer = await take_again(clean_store, theirs, "t2")
    assert (newer.number, len(newer.turns)) == (2, 2)

    before = await everything(clean_store)
    assert await end(clean_store, older) is Settled.LOST
    assert (await delta(clean_store, older, 0, "late")).held is False
    assert await everything(clean_store) == before
    assert await reply(clean_store, newer) is Settled.OK
    assert await end(clean_store, older) is Settled.STALE
    assert await endings(clean_store) == ["skipped 1 merged 2", "reply 2 reply"]


@ENDS
async def test_an_attempt_ends_once(clean_store: Store, end: End) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    await end(clean_store, attempt)
    before = await everything(clean_store)
    assert await end(clean_store, attempt) is Settled.STALE
    assert await everything(clean_store) == before


async def test_the_same_consumer_may_take_twice(clean_store: Store) -> None:
    """After a rollback or a lost group, one worker gets the same entry again."""
    await hear_text(clean_store, "a")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    first = await take_again(clean_store, claim, "t1")
    second = await take_again(clean_store, claim, "t2")
    assert await reply(clean_store, first, "first") is Settled.LOST
    assert await reply(clean_store, second, "second") is Settled.OK
    assert await endings(clean_store) == ["reply 1 second"]


@pytest.mark.parametrize(("end", "last"), [(reply, "reply 3 reply"), (bury, "error 3 refused")])
async def test_a_tombstone_among_the_taken_has_its_ending_already(
    clean_store: Store, end: End, last: str
) -> None:
    await hear_text(clean_store, "a")
    await hear(clean_store, "b")
    await hear_text(clean_store, "c")
    await skip(clean_store, *await read(clean_store))
    attempt = await take(clean_store)
    assert [turn.turn for turn in attempt.turns] == [1, 3]
    await end(clean_store, attempt)
    first = "skipped 1 merged 3" if end is reply else "error 1 refused"
    assert await endings(clean_store) == ["skipped 2 noise", first, last]
    await assert_at_rest(clean_store)


async def test_forgetting_a_session_voids_its_attempt(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    await forget(clean_store, ADA)
    before = await everything(clean_store)
    assert await reply(clean_store, attempt) is Settled.STALE
    assert await everything(clean_store) == before


async def test_a_delta_is_published_while_the_attempt_is_in_force(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b")
    attempt = await take(clean_store)
    for index, text in enumerate(("Hel", "lo")):
        answer = await delta(clean_store, attempt, index, text)
        assert (answer.held, answer.newer_speech) == (True, False)
    found = await events(clean_store, SHARD.deltas)
    assert all(isinstance(event, ReplyDelta) for event in found)
    assert [event.data.model_dump() for event in found] == [
        {"attempt": 1, "index": 0, "text": "Hel"},
        {"attempt": 1, "index": 1, "text": "lo"},
    ]
    assert {(event.turn, event.id, event.epoch) for event in found} == {(2, "b", attempt.epoch)}


async def test_deltas_can_be_switched_off(clean_store: Store) -> None:
    store = limited(clean_store, deltas=False)
    await hear_text(store, "a")
    attempt = await take(store)
    assert (await delta(store, attempt, 0, "x")).held
    assert await redis(store).exists(SHARD.deltas) == 0


async def test_a_foreign_key_in_the_place_of_the_deltas_stops_no_reply(clean_store: Store) -> None:
    await redis(clean_store).set(SHARD.deltas, "foreign")
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    assert (await delta(clean_store, attempt, 0, "x")).held
    assert await reply(clean_store, attempt) is Settled.OK


async def test_newer_speech_is_what_was_committed_and_has_words(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    await hear(clean_store, "noise")
    await hear_eager(clean_store, "eager")
    assert not (await newer_speech(clean_store, attempt)).newer_speech
    await skip(clean_store, *await read(clean_store))
    await transcribe(clean_store)  # of what is not committed
    await publish(clean_store, spoken("note", answer=False, audio=b"", text="note"))
    assert not (await newer_speech(clean_store, attempt)).newer_speech
    assert not (await delta(clean_store, attempt, 0, "x")).newer_speech
    await hear(clean_store, "speech")
    assert not (await newer_speech(clean_store, attempt)).newer_speech
    assert await settle(clean_store, *await read(clean_store)) is Settled.OK
    assert (await newer_speech(clean_store, attempt)).newer_speech
    assert (await delta(clean_store, attempt, 1, "y")).newer_speech
    assert len(await events(clean_store, SHARD.deltas)) == 2


async def test_a_buried_attempt_leaves_a_letter_for_each_turn(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b", persona="pirate", source="mic", speech_ms=5)
    assert await bury(clean_store, await take(clean_store)) is Settled.OK
    letters = [fields for _, fields in await redis(clean_store).xrange(SHARD.dead)]
    assert [(letter[b"id"], letter[b"turn"], letter[b"text"]) for letter in letters] == [
        (b"a", b"1", b"a"),
        (b"b", b"2", b"b"),
    ]
    for letter in letters:
        assert (letter[b"session"], letter[b"stage"]) == (ADA.encode(), b"llm")
        assert (letter[b"reason"], letter[b"error"]) == (b"refused", b"It is too long.")
        assert (letter[b"persona"], letter[b"source"]) == (b"pirate", b"mic")
        assert (letter[b"speech_ms"], letter[b"worker"]) == (b"5", LLM.encode())
    errors = [event for event in await events(clean_store) if isinstance(event, Error)]
    assert [(event.turn, event.data.stage, event.data.reason) for event in errors] == [
        (1, "llm", "refused"),
        (2, "llm", "refused"),
    ]
    assert await history(clean_store) == []


async def test_burying_the_head_wakes_the_next(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b")
    await bury(clean_store, await take(clean_store, max_merge=1))
    assert await wakes(clean_store) == ["2"]
