"""`commit` makes the waiting revision final by utterance id, once, without sending audio again:
what was held back is shown, and when there is nothing to commit the answer says what to do next."""

from common.redis.store import Store
from common.transitions.publishing import Commitment, Verdict, commit, publish
from common.transitions.tending import forget
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    assert_at_rest,
    bury,
    everything,
    expire,
    hear_eager,
    hear_text,
    next_ms,
    read,
    record,
    reply,
    skip,
    spoken,
    story,
    take,
    transcribe,
    wakes,
)

pytestmark = ON_BOTH_SERVERS


async def test_a_final_revision_is_answered_without_a_commit(clean_store: Store) -> None:
    await hear_eager(clean_store)
    answer = await publish(clean_store, spoken(revision=2))
    assert answer.verdict is Verdict.REVISED
    await transcribe(clean_store, "all of it")
    assert await story(clean_store) == ["heard 1", "transcript 1 all of it"]
    assert await wakes(clean_store) == ["1"]


async def test_commit_shows_what_was_held_back(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await transcribe(clean_store, "early")
    assert await story(clean_store) == ["heard 1"]
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.OK
    assert await story(clean_store) == ["heard 1", "transcript 1 early"]
    assert await wakes(clean_store) == ["1"]


async def test_commit_may_come_before_the_transcript(clean_store: Store) -> None:
    await hear_eager(clean_store)
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.OK
    assert await wakes(clean_store) == []
    await transcribe(clean_store, "late")
    assert await story(clean_store) == ["heard 1", "transcript 1 late"]
    assert await wakes(clean_store) == ["1"]


async def test_commit_ends_a_turn_that_was_noise(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await skip(clean_store, *await read(clean_store), no_speech_prob=0.9)
    assert await story(clean_store) == ["heard 1"]
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.OK
    assert await story(clean_store) == ["heard 1", "skipped 1 noise"]
    await assert_at_rest(clean_store)


async def test_commit_ends_a_turn_that_was_buried(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await hear_text(clean_store, "u2")
    await bury(clean_store, *await read(clean_store))
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.OK
    assert (await story(clean_store))[-1] == "error 1 bad_audio"
    assert await wakes(clean_store) == ["2"]


async def test_a_repeated_commit_changes_nothing(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await commit(clean_store, ADA, "u1", 1)
    before = await everything(clean_store)
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.OK
    assert await everything(clean_store) == before


async def test_a_commit_whose_answer_was_lost_is_ok_after_the_reply(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await transcribe(clean_store)
    await commit(clean_store, ADA, "u1", 1)
    await reply(clean_store, await take(clean_store))
    before = await everything(clean_store)
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.OK
    assert await everything(clean_store) == before


async def test_commit_after_the_turn_expired_is_closed(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await expire(clean_store)
    before = await everything(clean_store)
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.CLOSED
    assert await everything(clean_store) == before


async def test_commit_of_an_older_revision_is_closed(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await hear_eager(clean_store, revision=2)
    before = await everything(clean_store)
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.CLOSED
    assert await everything(clean_store) == before


async def test_commit_of_what_never_arrived_is_unknown(clean_store: Store) -> None:
    assert (await commit(clean_store, ADA, "u1", 1)).outcome is Commitment.UNKNOWN
    assert await everything(clean_store) == {}
    await hear_eager(clean_store)
    before = await everything(clean_store)
    assert (await commit(clean_store, ADA, "u1", 2)).outcome is Commitment.UNKNOWN
    assert await everything(clean_store) == before


async def test_publishing_whole_after_unknown_is_final(clean_store: Store) -> None:
    await hear_eager(clean_store)
    assert (await commit(clean_store, ADA, "u1", 2)).outcome is Commitment.UNKNOWN
    answer = await publish(clean_store, spoken(revision=2))
    assert answer.verdict is Verdict.REVISED
    assert (await commit(clean_store, ADA, "u1", 2)).outcome is Commitment.OK
    await transcribe(clean_store, "whole")
    assert await story(clean_store) == ["heard 1", "transcript 1 whole"]


async def test_commit_goes_by_utterance_and_not_by_turn(clean_store: Store) -> None:
    await hear_eager(clean_store, "old")
    await forget(clean_store, ADA)
    await next_ms(clean_store)
    await hear_eager(clean_store, "new")
    assert (await commit(clean_store, ADA, "old", 1)).outcome is Commitment.CLOSED
    found = await record(clean_store, 1)
    assert found is not None
    assert (found["id"], found["final"]) == ("new", False)
