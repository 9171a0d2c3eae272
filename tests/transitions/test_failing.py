"""A try that failed is counted for its turn, gives back what it held, and is tried again later;
only by its claim, and never at the cost of what another worker or a newer revision does."""

from dataclasses import replace
from typing import Any

from common.keys import DEFERRED
from common.redis.store import Store
from common.transitions.answering import Attempt, delta, fail_turn
from common.transitions.claims import Claim, Failed, RetryRule, Settled
from common.transitions.publishing import publish
from common.transitions.transcribing import fail_utterance
from common.utterance import Utterance
from tests.transitions.steps import (
    ADA,
    LLM,
    ON_BOTH_SERVERS,
    SHARD,
    claim_over,
    events,
    everything,
    hear,
    hear_eager,
    hear_text,
    next_ms,
    pending,
    read,
    record,
    redis,
    reply,
    settle,
    state,
    story,
    take,
    take_again,
)

pytestmark = ON_BOTH_SERVERS
RULE = RetryRule(limit=5, first_pause_s=0.5, longest_pause_s=3)
DEFERRED_IDLE_MS = 86_400_000


async def fail(store: Store, claim: Claim, fields: Any, rule: RetryRule = RULE) -> Failed | Settled:
    return await fail_utterance(
        store,
        claim,
        session=fields[b"session"].decode(),
        turn=int(fields[b"turn"]),
        utterance=fields[b"id"].decode(),
        rule=rule,
    )


async def wake_bob(store: Store) -> Claim:
    """The wake-up of a second session, in the hands of LLM."""
    await publish(store, Utterance(id="u2", session="bob", audio=b"", text="u2"))
    claim, _ = await read(store, SHARD.turns, LLM)
    return claim


async def taken(store: Store) -> tuple[Claim, Attempt]:
    claim, _ = await read(store, SHARD.turns, LLM)
    return claim, await take_again(store, claim, "t1")


async def test_a_failed_attempt_defers_its_wake_up_uncounted(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    claim, _ = await taken(clean_store)
    assert await fail_turn(clean_store, claim, ADA, rule=RULE) == Failed(1, 0.5)
    [row] = await pending(clean_store, SHARD.turns)
    assert (row["consumer"], row["times_delivered"]) == (DEFERRED.encode(), 0)
    assert DEFERRED_IDLE_MS - 500 <= row["time_since_delivered"] < DEFERRED_IDLE_MS


async def test_the_pauses_double_up_to_a_limit_and_the_server_s_wish_prolongs_them(
    clean_store: Store,
) -> None:
    await hear_text(clean_store, "u1")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    pauses = []
    for wish_s in (None, None, None, None, 2.5, 7.5, 1e6):
        claim = await claim_over(clean_store, claim, LLM)
        rule = replace(RULE, limit=99, wish_s=wish_s)
        failed = await fail_turn(clean_store, claim, ADA, rule=rule)
        assert isinstance(failed, Failed)
        pauses.append(failed.pause_s)
    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0, 7.5, 300.0]


async def test_at_the_limit_the_entry_stays_with_its_worker(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    rule = replace(RULE, limit=2)
    assert await fail(clean_store, claim, fields, rule) == Failed(1, 0.5)
    claim = await claim_over(clean_store, claim, "stt-2")
    assert await fail(clean_store, claim, fields, rule) == Failed(2, None)
    [row] = await pending(clean_store, SHARD.utterances)
    assert row["consumer"] == b"stt-2"


async def test_the_attempt_is_over_and_its_late_words_are_void(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    claim, attempt = await taken(clean_store)
    await fail_turn(clean_store, claim, ADA, rule=RULE)
    assert not (await delta(clean_store, attempt, 0, "late")).held
    assert await reply(clean_store, attempt) is Settled.STALE
    assert await story(clean_store) == ["heard 1", "transcript 1 u1"]
    claim = await claim_over(clean_store, claim, "llm-2")
    again = await take_again(clean_store, claim, "t2")
    assert (again.number, again.turns[0].failures) == (2, 1)
    assert await reply(clean_store, again) is Settled.OK


async def test_a_turn_that_failed_is_taken_alone_from_then_on(clean_store: Store) -> None:
    """So that it takes no neighbour with it, and the one at fault is found."""
    await hear_text(clean_store, "u1", "u2", "u3")
    claim, attempt = await taken(clean_store)
    assert [turn.turn for turn in attempt.turns] == [1, 2, 3]
    await fail_turn(clean_store, claim, ADA, rule=RULE)
    claim = await claim_over(clean_store, claim, LLM)
    attempt = await take_again(clean_store, claim, "t2")
    assert [turn.turn for turn in attempt.turns] == [1]
    await reply(clean_store, attempt)
    attempt = await take(clean_store, "t3")
    assert [(turn.turn, turn.failures) for turn in attempt.turns] == [(2, 0), (3, 0)]


async def test_who_has_lost_the_claim_counts_nothing(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    wake = await wake_bob(clean_store)
    await claim_over(clean_store, claim, "stt-2")
    await claim_over(clean_store, wake, "llm-2")
    before = await everything(clean_store)
    assert await fail(clean_store, claim, fields) is Settled.LOST
    assert await fail_turn(clean_store, wake, "bob", rule=RULE) is Settled.LOST
    assert await everything(clean_store) == before


async def test_a_newer_revision_starts_without_failures(clean_store: Store) -> None:
    await hear_eager(clean_store)
    claim, fields = await read(clean_store)
    await fail(clean_store, claim, fields)
    assert (await record(clean_store, 1) or {})["failures"] == 1
    await hear_eager(clean_store, revision=2)
    assert "failures" not in (await record(clean_store, 1) or {})
    assert await fail(clean_store, claim, fields) is Settled.LOST, "its entry is gone"


async def test_the_failures_of_transcribing_are_not_those_of_answering(
    clean_store: Store,
) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await fail(clean_store, claim, fields)
    claim = await claim_over(clean_store, claim, "stt-2")
    await settle(clean_store, claim, fields)
    assert (await take(clean_store)).turns[0].failures == 0


async def test_an_entry_that_no_turn_waits_for_is_gone(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await redis(clean_store).delete(SHARD.inbox(ADA))
    assert await fail(clean_store, claim, fields) is Settled.STALE
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await pending(clean_store, SHARD.utterances) == []


async def test_a_wake_up_that_the_session_does_not_name_is_gone(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    claim, _ = await taken(clean_store)
    await redis(clean_store).xadd(SHARD.turns, {"v": "1", "session": ADA, "turn": "1"})
    foreign, _ = await read(clean_store, SHARD.turns, LLM)
    assert await fail_turn(clean_store, foreign, ADA, rule=RULE) is Settled.STALE
    [row] = await pending(clean_store, SHARD.turns)
    assert row["message_id"].decode() == claim.entry
    assert (await state(clean_store))["token"] == "t1"


async def test_being_turned_away_by_a_busy_server_counts_only_after_a_long_while(
    clean_store: Store,
) -> None:
    await hear_text(clean_store, "u1")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    for patience_s, failures in ((600, 0), (600, 0), (0.001, 1), (0.001, 2)):
        claim = await claim_over(clean_store, claim, LLM)
        await next_ms(clean_store)
        failed = await fail_turn(clean_store, claim, ADA, rule=replace(RULE, patience_s=patience_s))
        assert isinstance(failed, Failed)
        assert failed.failures == failures


async def test_tries_that_are_no_failures_lengthen_the_pause_as_well(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    rule = replace(RULE, patience_s=600)
    pauses = []
    for _ in range(5):
        claim = await claim_over(clean_store, claim, LLM)
        failed = await fail_turn(clean_store, claim, ADA, rule=rule)
        assert isinstance(failed, Failed)
        pauses.append(failed.pause_s)
    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0]


async def test_of_tries_that_others_shared_every_third_is_a_failure(clean_store: Store) -> None:
    """One of them may have brought the server down for all."""
    await hear_text(clean_store, "u1")
    claim, _ = await read(clean_store, SHARD.turns, LLM)
    counted = []
    for _ in range(7):
        claim = await claim_over(clean_store, claim, LLM)
        failed = await fail_turn(clean_store, claim, ADA, rule=replace(RULE, shared=True))
        assert isinstance(failed, Failed)
        counted.append(failed.failures)
    assert counted == [0, 0, 1, 1, 1, 2, 2]


async def test_a_full_server_still_ends_attempts(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    wake = await wake_bob(clean_store)
    await redis(clean_store).config_set("maxmemory", 1)
    try:
        assert await fail(clean_store, claim, fields) == Failed(1, 0.5)
        assert await fail_turn(clean_store, wake, "bob", rule=RULE) == Failed(1, 0.5)
    finally:
        await redis(clean_store).config_set("maxmemory", 0)


async def test_a_failure_shows_no_event(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    before = await events(clean_store)
    await fail(clean_store, claim, fields)
    assert await events(clean_store) == before
    claim = await claim_over(clean_store, claim, "stt-2")
    await settle(clean_store, claim, fields)
    assert await story(clean_store) == ["heard 1", "transcript 1 u1"]
