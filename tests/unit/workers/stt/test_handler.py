"""An utterance leaves the STT worker as a transcript, as skipped noise, or as a dead letter.

Redis is real; the model is not, so that it can be slow, fail, or hear what the test wants.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from common.audio import encode
from common.errors import BadAudio, BadEntry, NoModel, Transient
from common.events import Error, Event, Skipped, Transcript, parse_event
from common.keys import STT_GROUP
from common.redis.store import Store
from common.settings import SttSettings
from common.transitions.claims import Claim, Settled
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.support.redis_server import RedisServer
from workers.loop.handler import Delivery, Handler
from workers.stt.engine import Segment, Transcription
from workers.stt.handler import SttHandler

Answer = TypeVar("Answer")

CONSUMER = "stt-test"
SAMPLES = np.arange(-800, 800, dtype=np.int16)
SAID = Transcription(
    text="Hello there.",
    language="en",
    language_probability=0.9,
    avg_logprob=-0.25,
    no_speech_prob=0.01,
    audio_ms=100,
    decode_ms=40,
)
NOISE = Transcription(
    text="",
    language="en",
    language_probability=0.9,
    avg_logprob=-2.0,
    no_speech_prob=0.95,
    audio_ms=100,
    decode_ms=40,
)


@dataclass
class FakeDesk:
    """Says what it was told, and repeats a transition as if Redis had been away at first."""

    state: dict[str, Any] = field(default_factory=dict)
    outages: list[Callable[[], None]] = field(default_factory=list)
    spoken: asyncio.Event = field(default_factory=asyncio.Event)

    async def retry_until_answered(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        for outage in self.outages:
            outage()
        return await transition()

    async def try_once(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        return await transition()

    def update_record(self, **changes: Any) -> None:
        self.state |= changes
        self.spoken.set()


@dataclass
class FakeEngine:
    """Hears `heard`, or raises it, once `gate` is open; `parties` must be at it together."""

    heard: Transcription | Exception = SAID
    gate: threading.Event | None = None
    parties: threading.Barrier | None = None
    working: threading.Event = field(default_factory=threading.Event)
    got: list[tuple[NDArray[np.int16], str]] = field(default_factory=list)
    name: str = "fake"
    device: str = "none"

    def transcribe(self, samples: NDArray[np.int16], language: str) -> Transcription:
        self.got.append((samples, language))
        self.working.set()
        if self.parties is not None:
            self.parties.wait(10)
        if self.gate is not None:
            assert self.gate.wait(10)
        if isinstance(self.heard, Exception):
            raise self.heard
        return self.heard

    def warm_up(self) -> None:
        self.transcribe(SAMPLES, "")


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def context() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def handler(store: Store, engine: FakeEngine, context: FakeDesk, clock: Clock) -> SttHandler:
    made = SttHandler(store, SttSettings(), load=lambda _: engine, clock=clock)
    await made.start(context)
    return made


def utterance(**changes: Any) -> Utterance:
    fields: dict[str, Any] = {
        "id": "u1",
        "session": "s1",
        "samples": len(SAMPLES),
        "audio": encode(SAMPLES),
        "speech_ms": 90,
    }
    return Utterance(**(fields | changes))


def redis_of(store: Store) -> Any:
    # untyped: redis-py's own types allow for every protocol and decoding at once
    return store.redis


async def claim(store: Store, *, consumer: str = CONSUMER) -> Delivery:
    """The next entry, in hand."""
    redis = redis_of(store)
    for shard in store.all_shards():
        if not await redis.xlen(shard.utterances):
            continue
        if not await redis.xinfo_groups(shard.utterances):
            await redis.xgroup_create(shard.utterances, STT_GROUP, id="0")
        answer = await redis.xreadgroup(STT_GROUP, consumer, {shard.utterances: ">"}, count=1)
        entry, fields = answer[0][1][0]
        return Delivery(Claim(shard, shard.utterances, entry.decode(), consumer), fields, 1)
    raise AssertionError("nothing is waiting")


async def published(store: Store, **changes: Any) -> Delivery:
    await publish(store, utterance(**changes))
    return await claim(store)


async def foreign(store: Store, fields: dict[str, str | bytes]) -> Delivery:
    """An entry that somebody added by hand."""
    await redis_of(store).xadd(store.all_shards()[0].utterances, fields)
    return await claim(store)


async def events(store: Store) -> list[Event]:
    rows = await redis_of(store).xrange(store.all_shards()[0].results)
    return [parse_event(fields) for _, fields in rows]


async def dead(store: Store) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in await redis_of(store).xrange(store.all_shards()[0].dead)]


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
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeDesk
) -> None:
    first, second = Segment(0, 40, "Hello"), Segment(40, 100, "there.")
    engine.heard = replace(SAID, segments=(first,))
    await handler.handle(await published(store), context)
    engine.heard = replace(SAID, segments=(first, second))
    await handler.handle(await published(store, id="u2"), context)
    one, two = (event for event in await events(store) if isinstance(event, Transcript))
    assert one.data.segments == ()
    assert [part.model_dump() for part in two.data.segments] == [asdict(first), asdict(second)]


async def test_a_transcript_takes_the_utterance_s_place(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeDesk
) -> None:
    delivery = await published(store, language="en-GB")
    assert await handler.handle(delivery, context) is Settled.OK
    samples, language = engine.got[0]
    assert samples.tolist() == SAMPLES.tolist()
    assert language == "en-GB"
    shard = store.all_shards()[0]
    assert await redis_of(store).xlen(shard.utterances) == 0
    assert await redis_of(store).xlen(shard.turns) == 1
    transcript = (await events(store))[-1]
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
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeDesk
) -> None:
    engine.heard = NOISE
    assert await handler.handle(await published(store), context) is Settled.OK
    skipped = (await events(store))[-1]
    assert isinstance(skipped, Skipped)
    assert skipped.data.reason == "noise"
    assert skipped.data.detail is not None
    assert skipped.data.detail["no_speech_prob"] == 0.95
    assert "text" not in skipped.data.detail
    assert await redis_of(store).xlen(store.all_shards()[0].turns) == 0


async def test_stt_began_when_it_did_however_late_redis_takes_the_result(
    store: Store, handler: SttHandler, context: FakeDesk, clock: Clock
) -> None:
    context.outages.append(lambda: clock.forward(7.5))
    await handler.handle(await published(store), context)
    transcript = (await events(store))[-1]
    assert isinstance(transcript, Transcript)
    timings = transcript.data.timings
    assert timings.transcribed is not None
    assert timings.stt_started is not None
    assert timings.transcribed - timings.stt_started == 7500


async def test_the_event_loop_runs_on_while_the_model_works(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeDesk
) -> None:
    engine.gate = threading.Event()
    task = asyncio.create_task(handler.handle(await published(store), context))
    assert await asyncio.to_thread(engine.working.wait, 10)
    assert not task.done()
    engine.gate.set()
    assert await task is Settled.OK


async def test_as_many_are_transcribed_at_once_as_the_concurrency_says(
    store: Store, context: FakeDesk
) -> None:
    engine = FakeEngine(parties=threading.Barrier(2))
    handler = SttHandler(store, SttSettings(concurrency=2), load=lambda _: engine)
    await handler.start(context)
    deliveries = [await published(store, id=f"u{n}", session=f"s{n}") for n in (1, 2)]
    assert (
        await asyncio.gather(*(handler.handle(delivery, context) for delivery in deliveries))
        == [Settled.OK] * 2
    )


async def test_a_result_for_a_claim_that_passed_on_changes_nothing(
    store: Store, handler: SttHandler, context: FakeDesk
) -> None:
    delivery = await published(store)
    await redis_of(store).xclaim(
        delivery.claim.stream, STT_GROUP, "other", 0, [delivery.claim.entry]
    )
    assert await handler.handle(delivery, context) is Settled.LOST
    assert [event.type for event in await events(store)] == ["heard"]


async def test_an_older_revision_s_result_is_discarded(
    store: Store, handler: SttHandler, context: FakeDesk
) -> None:
    delivery = await published(store, final=False)
    await publish(store, utterance(final=False, revision=2))
    assert await handler.handle(delivery, context) in (Settled.LOST, Settled.STALE)
    assert [event.type for event in await events(store)] == ["heard"]


async def test_a_model_s_trouble_passes_to_the_loop_and_leaves_the_entry(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeDesk
) -> None:
    engine.heard = Transient("the GPU fails")
    delivery = await published(store)
    with pytest.raises(Transient):
        await handler.handle(delivery, context)
    with pytest.raises(Transient):
        await handler.probe()
    assert await redis_of(store).xlen(delivery.claim.stream) == 1


async def test_a_probe_costs_nothing_where_there_is_no_gpu_to_fail(
    handler: SttHandler, engine: FakeEngine
) -> None:
    engine.device = "cpu int8"
    await handler.probe()
    assert not engine.got


# -- what cannot be transcribed


async def test_audio_that_is_none_ends_as_an_error_and_a_whole_dead_letter(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeDesk
) -> None:
    delivery = await published(store, audio=b"no flac at all")
    with pytest.raises(BadAudio) as caught:
        await handler.handle(delivery, context)
    assert not engine.got
    sentence = str(caught.value)
    assert await handler.bury(delivery, context, reason="bad_audio", error=sentence) is Settled.OK
    error = (await events(store))[-1]
    assert isinstance(error, Error)
    assert (error.turn, error.id) == (1, "u1")
    assert (error.data.stage, error.data.reason, error.data.error) == ("stt", "bad_audio", sentence)
    letter = (await dead(store))[0]
    assert letter[b"audio"] == b"no flac at all"
    assert letter[b"worker"] == CONSUMER.encode()
    assert await redis_of(store).xlen(delivery.claim.stream) == 0


async def test_more_audio_than_the_limit_is_refused(store: Store, context: FakeDesk) -> None:
    tight = Store(store.redis, 1, store.limits.model_copy(update={"max_audio_s": 0.05}))
    handler = SttHandler(tight, SttSettings(), load=lambda _: FakeEngine())
    await handler.start(context)
    with pytest.raises(BadAudio, match=r"0\.1 s"):
        await handler.handle(await published(store), context)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hello": "world"}, "schema version"),
        ({"v": "1", "id": "u1", "session": "s1", "codec": "flac"}, "without `publish`"),
        ({"v": "1", "id": "u1", "session": "s1", "turn": "1", "codec": "mp3"}, "codec"),
    ],
)
async def test_a_foreign_entry_is_buried_with_a_sentence_and_touches_no_session(
    store: Store, handler: SttHandler, context: FakeDesk, fields: dict[str, str], sentence: str
) -> None:
    delivery = await foreign(store, {**fields})
    with pytest.raises(BadEntry, match=sentence) as caught:
        await handler.handle(delivery, context)
    assert await handler.bury(delivery, context, reason="bad_entry", error=str(caught.value)) is (
        Settled.STALE
    )
    letter = (await dead(store))[0]
    assert letter[b"error"].decode() == str(caught.value)
    assert {name: letter[name.encode()].decode() for name in fields} == fields
    assert await redis_of(store).xlen(delivery.claim.stream) == 0
    assert await events(store) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"session": "s 1", "turn": "1", "id": "u1"},
        {"session": b"\xff\xfe", "turn": b"\xff", "id": b"\xff"},
        {"session": "s1", "turn": "1e400", "id": "u1"},
        {"session": "s1", "turn": "-1", "id": "x" * 1000},
        {"session": "s1", "turn": "9" * 40, "id": ""},
    ],
)
async def test_any_nonsense_can_be_buried(
    store: Store, handler: SttHandler, context: FakeDesk, fields: dict[str, str | bytes]
) -> None:
    delivery = await foreign(store, fields)
    buried = await handler.bury(delivery, context, reason="bad_entry", error="nonsense")
    assert buried is Settled.STALE
    assert len(await dead(store)) == 1


async def test_an_entry_on_a_shard_that_is_not_its_session_s_is_refused(
    redis_server: RedisServer, store: Store, context: FakeDesk
) -> None:
    two = Store(store.redis, 2, store.limits)
    handler = SttHandler(two, SttSettings(), load=lambda _: FakeEngine())
    await handler.start(context)
    at_home = next(s for s in (f"s{n}" for n in range(9)) if two.shard(s).number == 1)
    stray: dict[str, str | bytes] = {"v": "1", "id": "u1", "session": at_home, "turn": "1"}
    delivery = await foreign(two, stray)
    assert delivery.claim.shard.number == 0
    with pytest.raises(BadEntry, match="does not belong to shard 0"):
        await handler.handle(delivery, context)
    assert await handler.bury(delivery, context, reason="bad_entry", error="stray") is Settled.STALE


# -- starting and ending


async def test_it_says_what_it_waits_for_and_then_what_it_is(store: Store) -> None:
    gate, context = threading.Event(), FakeDesk()

    def slowly(_: SttSettings) -> FakeEngine:
        assert gate.wait(10)
        return FakeEngine()

    task = asyncio.create_task(SttHandler(store, SttSettings(), load=slowly).start(context))
    await asyncio.wait_for(context.spoken.wait(), 10)
    assert "small.en" in context.state["waits_for"]
    gate.set()
    await task
    assert context.state == {
        "model": "fake",
        "device": "none",
        "waits_for": None,
        "recordings": True,
    }


async def test_a_model_that_cannot_be_had_ends_the_start(store: Store, context: FakeDesk) -> None:
    def fails(_: SttSettings) -> FakeEngine:
        raise NoModel("there is none")

    with pytest.raises(NoModel, match="there is none"):
        await SttHandler(store, SttSettings(), load=fails).start(context)


async def test_a_start_can_be_given_up_while_the_model_is_still_being_fetched(
    store: Store, context: FakeDesk
) -> None:
    gate, entered = threading.Event(), threading.Event()

    def slowly(_: SttSettings) -> FakeEngine:
        entered.set()
        assert gate.wait(10)
        return FakeEngine()

    handler = SttHandler(store, SttSettings(), load=slowly)
    task = asyncio.create_task(handler.start(context))
    assert await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    await asyncio.wait_for(handler.close(), 10)
    assert "model" not in context.state
    gate.set()


async def test_closing_waits_for_nothing(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeDesk
) -> None:
    engine.gate = threading.Event()
    task = asyncio.create_task(handler.handle(await published(store), context))
    assert await asyncio.to_thread(engine.working.wait, 10)
    await asyncio.wait_for(handler.close(), 10)
    task.cancel()
    engine.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
