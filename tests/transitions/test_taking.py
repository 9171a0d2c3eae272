"""An attempt is given what is ready and young enough, in the order spoken, for the wake-up that the
session names and its holder; its number never comes twice for a turn."""

from common.redis.store import Store
from common.transitions.answering import (
    NotTaken,
    take_turn,
)
from common.transitions.claims import Claim, Settled
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    assert_at_rest,
    claim_over,
    everything,
    hear,
    hear_text,
    pending,
    read,
    redis,
    reply,
    skip,
    state,
    story,
    take,
    take_again,
    transcribe,
    wakes,
)

pytestmark = ON_BOTH_SERVERS
OLD_MS = 60_000


async def endings(store: Store) -> list[str]:
    """The story without what was heard and transcribed."""
    return [line for line in await story(store) if line.split()[0] not in ("heard", "transcript")]


async def test_an_attempt_is_given_what_is_ready(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b", language="en")
    attempt = await take(clean_store, "t1")
    assert [(turn.turn, turn.utterance, turn.text) for turn in attempt.turns] == [
        (1, "a", "a"),
        (2, "b", "b"),
    ]
    fields = await state(clean_store)
    assert (attempt.session, attempt.token, attempt.number) == (ADA, "t1", 1)
    assert str(attempt.epoch) == fields["epoch"]
    assert (fields["token"], fields["taken"]) == ("t1", "2")
    assert attempt.history == ()
    assert len(await pending(clean_store, SHARD.turns)) == 1


async def test_an_attempt_stops_at_the_first_turn_that_is_not_ready(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await hear(clean_store, "b")
    await hear_text(clean_store, "c")
    attempt = await take(clean_store)
    assert [turn.turn for turn in attempt.turns] == [1]
    assert await reply(clean_store, attempt) is Settled.OK
    assert await wakes(clean_store) == []
    await transcribe(clean_store)
    assert [turn.turn for turn in (await take(clean_store, "t2")).turns] == [2, 3]


async def test_an_attempt_merges_no_more_than_it_may(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b", "c")
    attempt = await take(clean_store, max_merge=2)
    assert [turn.turn for turn in attempt.turns] == [1, 2]
    await reply(clean_store, attempt)
    assert await endings(clean_store) == ["skipped 1 merged 2", "reply 2 reply"]
    assert await wakes(clean_store) == ["3"]


async def test_who_does_not_hold_the_wake_up_takes_nothing(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    await claim_over(clean_store, claim, "llm-2")
    before = await everything(clean_store)
    taken = await take_turn(clean_store, claim, ADA, token="t1", max_merge=8, history=0)
    assert taken is NotTaken.LOST
    assert await everything(clean_store) == before


async def test_a_wake_up_that_the_session_does_not_name_is_removed(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    attempt = await take(clean_store)
    await redis(clean_store).xadd(SHARD.turns, {"v": "1", "session": ADA, "turn": "1"})
    claim, _ = await read(clean_store, SHARD.turns, "llm-2")
    taken = await take_turn(clean_store, claim, ADA, token="t2", max_merge=8, history=0)
    assert taken is NotTaken.STALE
    assert await redis(clean_store).xlen(SHARD.turns) == 1
    assert await reply(clean_store, attempt) is Settled.OK


async def test_a_wake_up_for_an_unknown_session_is_removed(clean_store: Store) -> None:
    await redis(clean_store).xadd(SHARD.turns, {"v": "1", "session": ADA, "turn": "1"})
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    taken = await take_turn(clean_store, claim, ADA, token="t1", max_merge=8, history=0)
    assert taken is NotTaken.STALE
    assert await redis(clean_store).xlen(SHARD.turns) == 0
    assert await redis(clean_store).exists(SHARD.session(ADA)) == 0


async def test_a_tombstone_may_be_the_last_ready_turn(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await hear(clean_store, "b")
    await skip(clean_store, *await read(clean_store))
    attempt = await take(clean_store)
    assert [turn.turn for turn in attempt.turns] == [1]
    await reply(clean_store, attempt)
    assert await endings(clean_store) == ["skipped 2 noise", "reply 1 reply"]
    await assert_at_rest(clean_store)


async def test_what_is_too_old_is_not_answered(clean_store: Store) -> None:
    await hear_text(clean_store, "old", "older", hold_ms=OLD_MS)
    await hear_text(clean_store, "new")
    attempt = await take(clean_store, max_answer_age_s=30)
    assert [turn.text for turn in attempt.turns] == ["new"]
    assert await endings(clean_store) == ["skipped 1 expired", "skipped 2 expired"]
    await reply(clean_store, attempt)
    assert (await endings(clean_store))[2:] == ["reply 3 reply"]
    await assert_at_rest(clean_store)


async def test_what_is_too_old_in_the_middle_has_one_ending(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await hear_text(clean_store, "old", hold_ms=OLD_MS)
    await hear_text(clean_store, "c")
    attempt = await take(clean_store, max_answer_age_s=30)
    await reply(clean_store, attempt)
    assert await endings(clean_store) == [
        "skipped 2 expired",
        "skipped 1 merged 3",
        "reply 3 reply",
    ]


async def test_when_all_is_too_old_there_is_nothing_to_answer(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b", hold_ms=OLD_MS)
    await hear(clean_store, "c")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    taken = await take_turn(
        clean_store, claim, ADA, token="t1", max_merge=8, history=0, max_answer_age_s=30
    )
    assert taken is NotTaken.NOTHING
    assert await endings(clean_store) == ["skipped 1 expired", "skipped 2 expired"]
    assert await redis(clean_store).xlen(SHARD.turns) == 0
    await transcribe(clean_store)
    assert await wakes(clean_store) == ["3"]


async def test_age_does_not_matter_unless_asked(clean_store: Store) -> None:
    await hear_text(clean_store, "a", hold_ms=OLD_MS)
    assert len((await take(clean_store)).turns) == 1


async def test_a_vanished_wake_up_is_made_again_during_an_attempt(clean_store: Store) -> None:
    await hear_text(clean_store, "a")
    await hear(clean_store, "b")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    attempt = await take_again(clean_store, claim, "t1")
    await redis(clean_store).xdel(SHARD.turns, claim.entry)
    await transcribe(clean_store, "b")  # whatever touches the session repairs it
    assert await wakes(clean_store) == ["1"]
    assert await reply(clean_store, attempt, "first") is Settled.STALE
    again = await take(clean_store, "t2")
    assert [turn.text for turn in again.turns] == ["a", "b"]
    assert again.number == 2
    assert await reply(clean_store, again, "second") is Settled.OK
    assert await endings(clean_store) == ["skipped 1 merged 2", "reply 2 second"]
    await assert_at_rest(clean_store)


async def test_attempts_at_a_turn_never_repeat_a_number(clean_store: Store) -> None:
    await hear_text(clean_store, "a", "b")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    assert (await take_again(clean_store, claim, "t1")).number == 1  # at turn 2
    second = await take_again(clean_store, claim, "t2", max_merge=1)
    assert second.number == 2
    await reply(clean_store, second)
    assert (await take(clean_store, "t3")).number == 3
    await reply(clean_store, await take_again(clean_store, await woken(clean_store), "t4"))
    await hear_text(clean_store, "c")
    assert (await take(clean_store, "t5")).number == 1


async def woken(store: Store) -> Claim:
    """The claim on the one wake-up, in whoever's hands it is."""
    [row] = await pending(store, SHARD.turns)
    return Claim(SHARD, SHARD.turns, row["message_id"].decode(), row["consumer"].decode())
