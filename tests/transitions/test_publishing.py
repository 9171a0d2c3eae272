"""What `publish` accepts becomes exactly one turn, however often and in whatever shape it is sent;
nothing of it is shown or answered before it is final; limits are kept, and said in a sentence."""

from collections.abc import Awaitable, Callable

import pytest

from common.errors import Refused
from common.events import Heard, Transcript
from common.redis.store import Store
from common.transitions.claims import Settled
from common.transitions.publishing import Commitment, Verdict, commit, publish
from common.transitions.tending import forget
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    bury,
    events,
    everything,
    expire,
    hear,
    hear_eager,
    hear_text,
    is_open,
    limited,
    read,
    redis,
    reply,
    settle,
    skip,
    spoken,
    state,
    story,
    take,
    transcribe,
    ttl,
    wakes,
)

pytestmark = ON_BOTH_SERVERS


async def test_the_first_publish_is_heard_and_waits_for_stt(clean_store: Store) -> None:
    answer = await publish(clean_store, spoken(hold_ms=250, speech_ms=900, source="mic"))
    assert (answer.verdict, answer.turn) == (Verdict.ACCEPTED, 1)

    [heard] = await events(clean_store)
    assert isinstance(heard, Heard)
    assert (heard.session, heard.turn, heard.id) == (ADA, 1, "u1")
    assert heard.data.spoken_at == heard.at - 250
    assert (heard.data.speech_ms, heard.data.source) == (900, "mic")
    assert str(heard.epoch) == (await state(clean_store))["epoch"]

    _, fields = await read(clean_store)
    assert fields[b"audio"] == b"u1"
    assert fields[b"turn"] == b"1"
    assert await wakes(clean_store) == []


async def test_an_unfinished_session_is_open_and_does_not_expire(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    assert await is_open(clean_store)
    assert await ttl(clean_store, SHARD.session(ADA)) == -1
    assert await ttl(clean_store, SHARD.inbox(ADA)) == -1
    assert 0 < await ttl(clean_store, SHARD.seen("u1")) <= 120_000


async def test_turns_count_from_one(clean_store: Store) -> None:
    turns = [(await publish(clean_store, spoken(name))).turn for name in ("a", "b", "c")]
    assert turns == [1, 2, 3]
    assert await story(clean_store) == ["heard 1", "heard 2", "heard 3"]


async def test_a_repeated_publish_changes_nothing(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    before = await everything(clean_store)
    answer = await publish(clean_store, spoken())
    assert (answer.verdict, answer.turn) == (Verdict.DUPLICATE, 1)
    assert await everything(clean_store) == before


async def test_a_publish_repeated_after_the_reply_changes_nothing(clean_store: Store) -> None:
    await hear_text(clean_store, "u1")
    await reply(clean_store, await take(clean_store))
    before = await everything(clean_store)
    answer = await publish(clean_store, spoken())
    assert answer.verdict is Verdict.DUPLICATE
    assert await everything(clean_store) == before


async def test_a_text_is_ready_at_once(clean_store: Store) -> None:
    answer = await publish(clean_store, spoken(audio=b"", text="good morning"))
    assert answer.verdict is Verdict.ACCEPTED
    assert await story(clean_store) == ["heard 1", "transcript 1 good morning"]
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await wakes(clean_store) == ["1"]


async def test_an_empty_text_is_a_text(clean_store: Store) -> None:
    await publish(clean_store, spoken(audio=b"", text=""))
    assert await wakes(clean_store) == ["1"]


async def test_recordings_wait_behind_live_speech(clean_store: Store) -> None:
    await publish(clean_store, spoken(), recording=True)
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    claim, fields = await read(clean_store, SHARD.recordings)
    assert await settle(clean_store, claim, fields) is Settled.OK
    assert await story(clean_store) == ["heard 1", "transcript 1 u1"]


async def test_a_revision_takes_the_place_of_the_older_one(clean_store: Store) -> None:
    await hear_eager(clean_store)
    answer = await hear_eager(clean_store, revision=2)
    assert (answer.verdict, answer.turn) == (Verdict.REVISED, 1)
    assert await redis(clean_store).xlen(SHARD.utterances) == 1
    _, fields = await read(clean_store)
    assert (fields[b"audio"], fields[b"revision"], fields[b"turn"]) == (b"u1.r2 ", b"2", b"1")
    assert await story(clean_store) == ["heard 1"]


async def test_a_revision_in_the_other_stream_touches_no_entry_of_the_same_id(
    clean_store: Store,
) -> None:
    await publish(clean_store, spoken(final=False), recording=True)
    claim, fields = await read(clean_store, SHARD.recordings)
    await redis(clean_store).xadd(SHARD.utterances, {"of": "somebody else"}, id=claim.entry)
    assert (await hear_eager(clean_store, revision=2)).verdict is Verdict.REVISED
    assert await redis(clean_store).xrange(SHARD.utterances, claim.entry, claim.entry)
    assert await settle(clean_store, claim, fields) is Settled.STALE


@pytest.mark.parametrize("outcome", [settle, skip, bury])
async def test_a_revision_discards_what_was_computed_for_the_older_one(
    clean_store: Store, outcome: Callable[..., Awaitable[Settled]]
) -> None:
    await hear_eager(clean_store)
    assert await outcome(clean_store, *await read(clean_store)) is Settled.OK
    assert (await hear_eager(clean_store, revision=2)).verdict is Verdict.REVISED
    assert (await commit(clean_store, ADA, "u1", 2)).outcome is Commitment.OK
    assert await story(clean_store) == ["heard 1"]
    await transcribe(clean_store)
    assert await story(clean_store) == ["heard 1", "transcript 1 u1.r2"]


async def test_a_revision_says_anew_what_later_stages_need(clean_store: Store) -> None:
    await publish(clean_store, spoken(final=False, speech_ms=300, hold_ms=250))
    await publish(clean_store, spoken(revision=2, speech_ms=900, hold_ms=500, interrupt=True))
    await transcribe(clean_store)
    transcript = (await events(clean_store))[-1]
    assert isinstance(transcript, Transcript)
    assert transcript.data.speech_ms == 900
    assert transcript.data.timings.published == 500
    assert (await take(clean_store)).turns[0].interrupt is True


async def test_a_final_copy_of_the_waiting_revision_commits_it(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await transcribe(clean_store, "early")
    answer = await publish(clean_store, spoken())
    assert (answer.verdict, answer.turn) == (Verdict.DUPLICATE, 1)
    assert await story(clean_store) == ["heard 1", "transcript 1 early"]
    assert await wakes(clean_store) == ["1"]


async def test_a_final_revision_that_has_been_revised_since_is_not_taken_for_the_newer_one(
    clean_store: Store,
) -> None:
    await hear_eager(clean_store)
    await hear_eager(clean_store, revision=2)
    before = await everything(clean_store)
    assert (await publish(clean_store, spoken(revision=1))).verdict is Verdict.CLOSED
    assert await everything(clean_store) == before


async def test_what_is_final_cannot_be_revised(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    before = await everything(clean_store)
    assert (await hear_eager(clean_store, revision=2)).verdict is Verdict.CLOSED
    assert (await publish(clean_store, spoken(revision=2))).verdict is Verdict.CLOSED
    assert await everything(clean_store) == before


async def test_a_turn_that_expired_is_closed(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await expire(clean_store)
    before = await everything(clean_store)
    assert (await hear_eager(clean_store)).verdict is Verdict.DUPLICATE
    assert (await hear_eager(clean_store, revision=2)).verdict is Verdict.CLOSED
    assert (await publish(clean_store, spoken())).verdict is Verdict.CLOSED
    assert await everything(clean_store) == before


async def test_a_turn_that_was_forgotten_is_closed(clean_store: Store) -> None:
    await hear_eager(clean_store)
    await forget(clean_store, ADA)
    assert (await publish(clean_store, spoken())).verdict is Verdict.CLOSED
    assert await redis(clean_store).exists(SHARD.session(ADA)) == 0


async def test_a_session_with_too_many_unanswered_turns_is_full(clean_store: Store) -> None:
    store = limited(clean_store, max_unanswered=2)
    await hear_eager(store, "a")
    await hear_text(store, "b")
    before = await everything(store)
    answer = await publish(store, spoken("c"))
    assert (answer.verdict, answer.turn) == (Verdict.FULL, 0)
    assert answer.why == "the session has 2 unanswered turns"
    assert await everything(store) == before

    assert (await hear_eager(store, "a")).verdict is Verdict.DUPLICATE
    assert (await hear_eager(store, "a", 2)).verdict is Verdict.REVISED


async def test_a_full_backlog_puts_new_audio_off(clean_store: Store) -> None:
    store = limited(clean_store, max_backlog=1)
    await hear_eager(store, "a")
    before = await everything(store)
    answer = await publish(store, spoken("b"))
    assert (answer.verdict, answer.why) == (Verdict.FULL, "the backlog holds 1 utterances")
    assert await everything(store) == before

    assert (await publish(store, spoken("c"), recording=True)).verdict is Verdict.ACCEPTED
    assert (await publish(store, spoken("d", audio=b"", text="d"))).verdict is Verdict.ACCEPTED
    assert (await hear_eager(store, "a", 2)).verdict is Verdict.REVISED


async def test_audio_above_the_limit_is_refused(clean_store: Store) -> None:
    store = limited(clean_store, max_entry_bytes=10)
    with pytest.raises(Refused, match="12 bytes"):
        await publish(store, spoken(audio=b"0" * 12))
    assert await everything(store) == {}


async def test_what_later_stages_need_is_kept(clean_store: Store) -> None:
    parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    await hear(clean_store, "u1", persona="pirate", interrupt=True, traceparent=parent)
    await transcribe(clean_store, "hello")
    [turn] = (await take(clean_store)).turns
    assert (turn.persona, turn.interrupt, turn.traceparent) == ("pirate", True, parent)


async def test_the_transcript_of_a_text_has_timings(clean_store: Store) -> None:
    await hear_text(clean_store, "u1", hold_ms=40)
    transcript = (await events(clean_store))[1]
    assert isinstance(transcript, Transcript)
    assert transcript.data.timings.published == 40
    assert transcript.data.timings.stt_started is None
