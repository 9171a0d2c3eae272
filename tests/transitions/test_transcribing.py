"""A transcript counts once, from the worker that holds the claim, for the revision that waits; a
skip or a burial ends its turn and lets the next one go on."""

from collections.abc import Awaitable, Callable

import pytest

from common.events import Error, Skipped, Transcript
from common.keys import STT_GROUP
from common.redis.store import Store
from common.transitions.claims import Claim, Settled
from common.transitions.publishing import publish
from common.transitions.transcribing import bury_utterance, settle_utterance
from tests.transitions.steps import (
    ADA,
    ON_BOTH_SERVERS,
    SHARD,
    STT,
    assert_at_rest,
    bury,
    claim_over,
    events,
    everything,
    hear,
    hear_eager,
    hear_text,
    pending,
    read,
    record,
    redis,
    settle,
    skip,
    spoken,
    story,
    transcribe,
    ttl,
    wakes,
)

pytestmark = ON_BOTH_SERVERS
STEPS = pytest.mark.parametrize("step", [settle, skip, bury])
Step = Callable[..., Awaitable[Settled]]


async def test_a_transcript_takes_the_place_of_the_audio(clean_store: Store) -> None:
    await hear(clean_store, "u1", hold_ms=100)
    settled = await settle(clean_store, *await read(clean_store), "hello", language="en")
    assert settled is Settled.OK
    transcript = (await events(clean_store))[1]
    assert isinstance(transcript, Transcript)
    assert (transcript.data.text, transcript.data.language) == ("hello", "en")
    timings = transcript.data.timings
    assert timings.published == 100
    assert timings.stt_started is not None
    assert timings.transcribed == timings.stt_started + 3

    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await pending(clean_store, SHARD.utterances) == []
    assert await wakes(clean_store) == ["1"]
    found = await record(clean_store, 1)
    assert found is not None
    assert found["text"] == "hello"
    assert "entry" not in found


async def test_a_later_turn_wakes_nobody_before_the_head_is_ready(clean_store: Store) -> None:
    await hear(clean_store, "u1", "u2")
    first = await read(clean_store)
    await transcribe(clean_store, "second")
    assert (await story(clean_store))[-1] == "transcript 2 second"
    assert await wakes(clean_store) == []
    await settle(clean_store, *first, "first")
    assert await wakes(clean_store) == ["1"]


async def test_there_is_at_most_one_wake_up(clean_store: Store) -> None:
    await hear(clean_store, "u1", "u2", "u3")
    for _ in range(3):
        await transcribe(clean_store)
    assert await wakes(clean_store) == ["1"]


async def test_a_transcript_only_is_not_answered(clean_store: Store) -> None:
    await publish(clean_store, spoken(answer=False))
    await transcribe(clean_store, "note to self")
    assert await story(clean_store) == [
        "heard 1",
        "transcript 1 note to self",
        "skipped 1 transcript_only",
    ]
    assert await wakes(clean_store) == []
    await assert_at_rest(clean_store)


async def test_noise_ends_its_turn_and_wakes_the_next(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await hear_text(clean_store, "u2")
    assert await skip(clean_store, *await read(clean_store), no_speech_prob=0.9) is Settled.OK
    skipped = (await events(clean_store))[-1]
    assert isinstance(skipped, Skipped)
    assert (skipped.turn, skipped.data.reason) == (1, "noise")
    assert skipped.data.detail == {"no_speech_prob": 0.9}
    assert await wakes(clean_store) == ["2"]


async def test_noise_alone_leaves_the_session_at_rest(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    await skip(clean_store, *await read(clean_store))
    assert await wakes(clean_store) == []
    await assert_at_rest(clean_store)


@STEPS
async def test_what_is_not_committed_is_silent(clean_store: Store, step: Step) -> None:
    await hear_eager(clean_store)
    assert await step(clean_store, *await read(clean_store)) is Settled.OK
    assert await story(clean_store) == ["heard 1"]
    assert await wakes(clean_store) == []
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await ttl(clean_store, SHARD.session(ADA)) == -1


@STEPS
async def test_a_worker_that_lost_its_claim_changes_nothing(clean_store: Store, step: Step) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    theirs = await claim_over(clean_store, claim, "stt-2")
    before = await everything(clean_store)
    assert await step(clean_store, claim, fields) is Settled.LOST
    assert await everything(clean_store) == before
    assert await step(clean_store, theirs, fields) is Settled.OK


@STEPS
async def test_settling_twice_is_lost(clean_store: Store, step: Step) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await step(clean_store, claim, fields)
    before = await everything(clean_store)
    assert await step(clean_store, claim, fields) is Settled.LOST
    assert await everything(clean_store) == before


@STEPS
async def test_a_lost_group_loses_the_claims(clean_store: Store, step: Step) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await redis(clean_store).xgroup_destroy(SHARD.utterances, STT_GROUP)
    before = await everything(clean_store)
    assert await step(clean_store, claim, fields) is Settled.LOST
    assert await everything(clean_store) == before


@STEPS
async def test_the_entry_of_an_older_revision_is_lost(clean_store: Store, step: Step) -> None:
    await hear_eager(clean_store)
    claim, fields = await read(clean_store)
    await hear_eager(clean_store, revision=2)
    before = await everything(clean_store)
    assert await step(clean_store, claim, fields) is Settled.LOST
    assert await everything(clean_store) == before


@STEPS
async def test_a_foreign_copy_of_an_entry_settles_nothing(clean_store: Store, step: Step) -> None:
    await hear(clean_store, "u1")
    true = await read(clean_store)
    await redis(clean_store).xadd(SHARD.utterances, true[1])
    found = await record(clean_store, 1)
    assert await step(clean_store, *await read(clean_store)) is Settled.STALE
    assert await record(clean_store, 1) == found
    assert await story(clean_store) == ["heard 1"]
    assert await redis(clean_store).xlen(SHARD.utterances) == 1
    assert await step(clean_store, *true) is Settled.OK


@STEPS
async def test_an_entry_of_a_session_that_is_gone_goes(clean_store: Store, step: Step) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    keys = (SHARD.session(ADA), SHARD.inbox(ADA), SHARD.open, SHARD.results)
    await redis(clean_store).delete(*keys)
    assert await step(clean_store, claim, fields) is Settled.STALE
    assert await redis(clean_store).exists(*keys) == 0
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await pending(clean_store, SHARD.utterances) == []


async def test_a_buried_entry_is_kept_whole(clean_store: Store) -> None:
    await hear(clean_store, "u1", speech_ms=700, persona="pirate")
    await hear_text(clean_store, "u2")
    claim, fields = await read(clean_store)
    assert await bury(clean_store, claim, fields) is Settled.OK

    [(_, letter)] = await redis(clean_store).xrange(SHARD.dead)
    assert fields.items() <= letter.items()
    added = {name: value for name, value in letter.items() if name not in fields}
    at = added.pop(b"at")
    assert added == {
        b"stage": b"stt",
        b"reason": b"bad_audio",
        b"error": b"It is no FLAC.",
        b"deliveries": b"2",
        b"worker": STT.encode(),
        b"entry": claim.entry.encode(),
    }
    error = (await events(clean_store))[-1]
    assert isinstance(error, Error)
    assert (error.turn, error.at) == (1, int(at))
    assert (error.data.stage, error.data.reason) == ("stt", "bad_audio")
    assert (error.data.error, error.data.deliveries) == ("It is no FLAC.", 2)
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await wakes(clean_store) == ["2"]


async def test_an_entry_that_vanished_is_buried_without_a_letter(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    claim, fields = await read(clean_store)
    await redis(clean_store).xdel(SHARD.utterances, claim.entry)
    assert await bury(clean_store, claim, fields) is Settled.OK
    assert await story(clean_store) == ["heard 1", "error 1 bad_audio"]
    assert await redis(clean_store).xlen(SHARD.dead) == 0
    assert await pending(clean_store, SHARD.utterances) == []


@pytest.mark.parametrize("session", ["", ADA])
async def test_an_entry_that_no_publish_made_is_buried_all_the_same(
    clean_store: Store, session: str
) -> None:
    await redis(clean_store).xadd(SHARD.utterances, {"session": "no\nsession", "x": "y"})
    claim, _ = await read(clean_store)
    settled = await bury_utterance(
        clean_store,
        claim,
        session=session,
        turn=None,
        utterance="",
        reason="bad_entry",
        error="It names no session.",
        deliveries=1,
        worker=STT,
    )
    assert settled is Settled.STALE
    [(_, letter)] = await redis(clean_store).xrange(SHARD.dead)
    assert (letter[b"x"], letter[b"reason"]) == (b"y", b"bad_entry")
    assert await redis(clean_store).xlen(SHARD.utterances) == 0
    assert await redis(clean_store).keys("*:session:*") == []
    assert await redis(clean_store).exists(SHARD.results) == 0


async def test_an_unknown_entry_is_lost(clean_store: Store) -> None:
    await hear(clean_store, "u1")
    _, fields = await read(clean_store)
    nobodys = Claim(SHARD, SHARD.utterances, "1-1", STT)
    malformed = Claim(SHARD, SHARD.utterances, "no id", STT)
    assert await settle(clean_store, nobodys, fields) is Settled.LOST
    assert await settle(clean_store, malformed, fields) is Settled.LOST


@pytest.mark.parametrize("both", [{}, {"text": "Hello", "skip": "noise"}])
async def test_it_ends_with_a_text_or_a_reason_and_not_with_both(
    clean_store: Store, both: dict[str, str]
) -> None:
    await hear(clean_store, "u1")
    claim, _ = await read(clean_store)
    before = await everything(clean_store)
    with pytest.raises(ValueError, match="a text or a reason to skip it"):
        await settle_utterance(
            clean_store, claim, session=ADA, turn=1, utterance="u1", stt_ms=1, detail={}, **both
        )
    assert await everything(clean_store) == before
