"""An utterance leaves the STT worker as a transcript or as skipped noise, and only by the worker
that holds its claim."""

import asyncio
import threading
from dataclasses import asdict, replace

import pytest

from common.errors import Transient
from common.events import Skipped, Transcript
from common.keys import STT_GROUP
from common.redis.store import Store
from common.settings import SttSettings
from common.transitions.claims import Settled
from common.transitions.publishing import publish
from tests.unit.workers.stt.handler.fake_engine import (
    CONSUMER,
    NOISE,
    SAID,
    SAMPLES,
    Clock,
    FakeContext,
    FakeEngine,
    make_utterance,
    publish_and_claim,
    read_events,
    redis_of,
)
from workers.loop.handler import Handler
from workers.stt.engine import Segment
from workers.stt.handler import SttHandler


def test_it_is_a_handler(store: Store) -> None:
    made: Handler = SttHandler(store, SttSettings(concurrency=3))
    assert (made.role, made.group, made.concurrency) == ("stt", "stt", 3)
    shard = store.all_shards()[0]
    assert list(made.streams(shard)) == [shard.utterances, shard.recordings]


def test_one_that_is_kept_for_live_speech_reads_no_recordings(store: Store) -> None:
    shard = store.all_shards()[0]
    kept = SttHandler(store, SttSettings(recordings=False))
    assert list(kept.streams(shard)) == [shard.utterances]


async def test_segments_are_told_where_there_are_several(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    first, second = Segment(0, 40, "Hello"), Segment(40, 100, "there.")
    engine.heard = replace(SAID, segments=(first,))
    await handler.handle(await publish_and_claim(store), context)
    engine.heard = replace(SAID, segments=(first, second))
    await handler.handle(await publish_and_claim(store, id="u2"), context)
    one, two = (event for event in await read_events(store) if isinstance(event, Transcript))
    assert one.data.segments == ()
    assert [part.model_dump() for part in two.data.segments] == [asdict(first), asdict(second)]


async def test_a_transcript_takes_the_utterance_s_place(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    delivery = await publish_and_claim(store, language="en-GB")
    assert await handler.handle(delivery, context) is Settled.OK
    assert context.answers == 1
    samples, hints = engine.got[0]
    assert samples.tolist() == SAMPLES.tolist()
    assert hints.language == "en-GB"
    shard = store.all_shards()[0]
    assert await redis_of(store).xlen(shard.utterances) == 0
    assert await redis_of(store).xlen(shard.turns) == 1
    transcript = (await read_events(store))[-1]
    assert isinstance(transcript, Transcript)
    said = transcript.data
    assert (transcript.session, transcript.turn, transcript.id) == ("s1", 1, "u1")
    assert (said.text, said.language, said.model, said.worker) == (
        "Hello there.",
        "en",
        "fake",
        CONSUMER,
    )
    assert (said.language_probability, said.avg_logprob, said.no_speech_prob) == (0.9, -0.25, 0.01)
    assert (said.audio_ms, said.decode_ms, said.speech_ms) == (100, 40, 90)


async def test_noise_is_skipped_and_tells_its_scores(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    engine.heard = NOISE
    assert await handler.handle(await publish_and_claim(store), context) is Settled.OK
    skipped = (await read_events(store))[-1]
    assert isinstance(skipped, Skipped)
    assert skipped.data.reason == "noise"
    assert skipped.data.detail is not None
    assert skipped.data.detail["no_speech_prob"] == 0.95
    assert "text" not in skipped.data.detail
    assert await redis_of(store).xlen(store.all_shards()[0].turns) == 0


async def test_stt_began_when_it_did_however_late_redis_takes_the_result(
    store: Store, handler: SttHandler, context: FakeContext, clock: Clock
) -> None:
    context.outages.append(lambda: clock.forward(7.5))
    await handler.handle(await publish_and_claim(store), context)
    transcript = (await read_events(store))[-1]
    assert isinstance(transcript, Transcript)
    timings = transcript.data.timings
    assert timings.transcribed is not None
    assert timings.stt_started is not None
    assert timings.transcribed - timings.stt_started == 7500


async def test_the_event_loop_runs_on_while_the_model_works(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    engine.gate = threading.Event()
    task = asyncio.create_task(handler.handle(await publish_and_claim(store), context))
    assert await asyncio.to_thread(engine.working.wait, 10)
    assert not task.done()
    engine.gate.set()
    assert await task is Settled.OK


async def test_as_many_are_transcribed_at_once_as_the_concurrency_says(
    store: Store, context: FakeContext
) -> None:
    engine = FakeEngine(parties=threading.Barrier(2))
    handler = SttHandler(store, SttSettings(concurrency=2), load=lambda _: engine)
    await handler.start(context)
    deliveries = [await publish_and_claim(store, id=f"u{n}", session=f"s{n}") for n in (1, 2)]
    assert (
        await asyncio.gather(*(handler.handle(delivery, context) for delivery in deliveries))
        == [Settled.OK] * 2
    )


async def test_a_result_for_a_claim_that_passed_on_changes_nothing(
    store: Store, handler: SttHandler, context: FakeContext
) -> None:
    delivery = await publish_and_claim(store)
    await redis_of(store).xclaim(
        delivery.claim.stream, STT_GROUP, "other", 0, [delivery.claim.entry]
    )
    assert await handler.handle(delivery, context) is Settled.LOST
    assert [event.type for event in await read_events(store)] == ["heard"]


async def test_an_older_revision_s_result_is_discarded(
    store: Store, handler: SttHandler, context: FakeContext
) -> None:
    delivery = await publish_and_claim(store, final=False)
    await publish(store, make_utterance(final=False, revision=2))
    assert await handler.handle(delivery, context) in (Settled.LOST, Settled.STALE)
    assert [event.type for event in await read_events(store)] == ["heard"]


async def test_a_model_s_trouble_passes_to_the_loop_and_leaves_the_entry(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    engine.heard = Transient("the GPU fails")
    delivery = await publish_and_claim(store)
    with pytest.raises(Transient):
        await handler.handle(delivery, context)
    assert context.answers == 0
    with pytest.raises(Transient):
        await handler.ask_smallest()
    assert await redis_of(store).xlen(delivery.claim.stream) == 1


async def test_a_probe_costs_nothing_where_there_is_no_gpu_to_fail(
    handler: SttHandler, engine: FakeEngine
) -> None:
    engine.device = "cpu int8"
    await handler.ask_smallest()
    assert not engine.got
