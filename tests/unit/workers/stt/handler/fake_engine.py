"""A fake model and loop for the STT handler, and what it reads from and writes to Redis.

Redis is real; the model is not, so that it can be slow, fail, or hear what the test wants.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from common.audio import encode
from common.events import Event, parse_event
from common.keys import STT_GROUP
from common.redis.store import Store
from common.transitions.claims import Claim
from common.transitions.publishing import publish
from common.utterance import Utterance
from workers.loop.handler import Delivery
from workers.stt.engine import NO_HINTS, Hints, Transcription

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
NOISE = replace(SAID, text="", avg_logprob=-2.0, no_speech_prob=0.95)


@dataclass
class FakeContext:
    """Says what it was told, and repeats a transition as if Redis had been away at first."""

    state: dict[str, Any] = field(default_factory=dict)
    answers: int = 0
    outages: list[Callable[[], None]] = field(default_factory=list)
    spoken: asyncio.Event = field(default_factory=asyncio.Event)

    async def retry_until_answered(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        for outage in self.outages:
            outage()
        return await transition()

    async def try_once(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        return await transition()

    def note_answer(self) -> None:
        self.answers += 1

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
    got: list[tuple[NDArray[np.int16], Hints]] = field(default_factory=list)
    name: str = "fake"
    device: str = "none"

    def transcribe(self, samples: NDArray[np.int16], hints: Hints) -> Transcription:
        self.got.append((samples, hints))
        self.working.set()
        if self.parties is not None:
            self.parties.wait(10)
        if self.gate is not None:
            assert self.gate.wait(10)
        if isinstance(self.heard, Exception):
            raise self.heard
        return self.heard

    def warm_up(self) -> None:
        self.transcribe(SAMPLES, NO_HINTS)


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


def make_utterance(**changes: Any) -> Utterance:
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


async def claim_next(store: Store, *, consumer: str = CONSUMER) -> Delivery:
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


async def publish_and_claim(store: Store, **changes: Any) -> Delivery:
    await publish(store, make_utterance(**changes))
    return await claim_next(store)


async def add_foreign_entry(store: Store, fields: dict[str, str | bytes]) -> Delivery:
    """An entry that somebody added by hand."""
    await redis_of(store).xadd(store.all_shards()[0].utterances, fields)
    return await claim_next(store)


async def read_events(store: Store) -> list[Event]:
    rows = await redis_of(store).xrange(store.all_shards()[0].results)
    return [parse_event(fields) for _, fields in rows]


async def read_dead_letters(store: Store) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in await redis_of(store).xrange(store.all_shards()[0].dead)]
