"""The steps that the tests of the transitions are made of, and what they look at afterwards."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from common.events import Error, Event, Heard, Reply, Skipped, Transcript, parse_event
from common.keys import LLM_GROUP, STT_GROUP, Shard
from common.redis.store import Store
from common.transitions.answering import Attempt, settle_turn, take_turn
from common.transitions.claims import Claim, Settled
from common.transitions.publishing import Published, publish
from common.transitions.tending import tend
from common.transitions.transcribing import (
    bury_utterance,
    settle_utterance,
)
from common.utterance import Utterance
from tests.support.redis_server import EXECUTABLES

SHARD: Final = Shard(0)
ADA: Final = "ada"
STT: Final = "stt-1"
LLM: Final = "llm-1"
ON_BOTH_SERVERS: Final = pytest.mark.parametrize("clean_store", EXECUTABLES, indirect=True)


def redis(store: Store) -> Any:
    """The client; its methods' types promise less than they keep."""
    return store.redis


def limited(store: Store, **limits: Any) -> Store:
    """The same Redis under other limits."""
    return replace(store, limits=store.limits.model_copy(update=limits))


def spoken(name: str = "u1", **changes: Any) -> Utterance:
    """An utterance with audio in it: by default its name, in place of PCM."""
    audio = as_pcm(changes.pop("audio", name.encode()))
    spoken = {"audio": audio, "codec": "pcm_s16le", "samples": len(audio) // 2}
    return Utterance(id=name, session=ADA, **(spoken | changes))


def as_pcm(words: bytes) -> bytes:
    """Whole samples of 16 bits: a space is added to an odd number of bytes."""
    return words + b" " * (len(words) % 2)


async def hear(store: Store, *names: str, **changes: Any) -> None:
    """Publish utterances, one for each name, with audio."""
    for name in names:
        await publish(store, spoken(name, **changes))


async def hear_text(store: Store, *names: str, **changes: Any) -> None:
    """Publish turns that are ready at once; the text is the name."""
    for name in names:
        await publish(store, spoken(name, audio=b"", text=name, **changes))


async def hear_eager(store: Store, name: str = "u1", revision: int = 1) -> Published:
    """Publish a revision that is not final."""
    audio = f"{name}.r{revision}".encode()
    return await publish(store, spoken(name, audio=audio, revision=revision, final=False))


async def read(
    store: Store, stream: str = SHARD.utterances, consumer: str = STT
) -> tuple[Claim, dict[bytes, bytes]]:
    """The next new entry of a work stream."""
    group = await make_group(store, stream)
    answer = await redis(store).xreadgroup(group, consumer, {stream: ">"}, count=1)
    assert answer, f"nothing new in {stream}"
    entry, fields = answer[0][1][0]
    return Claim(SHARD, stream, entry.decode(), consumer), fields


async def make_group(store: Store, stream: str) -> str:
    """The group of a work stream, made if it is missing."""
    group = LLM_GROUP if stream == SHARD.turns else STT_GROUP
    there = await redis(store).exists(stream) and await redis(store).xinfo_groups(stream)
    if not there:
        await redis(store).xgroup_create(stream, group, id="0", mkstream=True)
    return group


async def claim_over(store: Store, claim: Claim, consumer: str) -> Claim:
    """Another consumer takes the entry, as if its holder had been silent for long."""
    group = LLM_GROUP if claim.stream == SHARD.turns else STT_GROUP
    assert await redis(store).xclaim(claim.stream, group, consumer, 0, [claim.entry])
    return replace(claim, consumer=consumer)


def identity(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The arguments by which a transition checks that an entry is still the one of its turn."""
    return {
        "session": fields[b"session"].decode(),
        "turn": int(fields[b"turn"]),
        "utterance": fields[b"id"].decode(),
    }


async def settle(
    store: Store, claim: Claim, fields: Mapping[bytes, bytes], text: str = "", **detail: Any
) -> Settled:
    """The transcript of a claimed entry: `text`, or the audio's bytes."""
    return await settle_utterance(
        store,
        claim,
        **identity(fields),
        text=text or fields[b"audio"].decode().strip(),
        stt_ms=3,
        detail=detail,
    )


async def skip(store: Store, claim: Claim, fields: Mapping[bytes, bytes], **detail: Any) -> Settled:
    """A claimed entry turns out to be noise."""
    return await settle_utterance(
        store,
        claim,
        **identity(fields),
        skip="noise",
        stt_ms=3,
        detail=detail,
    )


async def bury(store: Store, claim: Claim, fields: Mapping[bytes, bytes]) -> Settled:
    """A claimed entry cannot be transcribed."""
    return await bury_utterance(
        store,
        claim,
        **identity(fields),
        reason="bad_audio",
        error="It is no FLAC.",
        deliveries=2,
        worker=claim.consumer,
    )


async def transcribe(store: Store, text: str = "") -> None:
    """The next waiting utterance gets its transcript."""
    assert await settle(store, *await read(store), text) is Settled.OK


async def take(store: Store, token: str = "t1", **changes: Any) -> Attempt:
    """An LLM worker reads the wake-up and begins an attempt."""
    claim, _ = await read(store, SHARD.turns, LLM)
    return await take_again(store, claim, token, **changes)


async def take_again(store: Store, claim: Claim, token: str, **changes: Any) -> Attempt:
    """An attempt with a wake-up in hand."""
    wanted: dict[str, Any] = {"max_merge": 8, "history": 10} | changes
    attempt = await take_turn(store, claim, ADA, token=token, **wanted)
    assert isinstance(attempt, Attempt), attempt
    return attempt


async def reply(store: Store, attempt: Attempt, text: str = "reply", keep: int = 10) -> Settled:
    """The attempt's reply; the history grows by question and answer."""
    question = " ".join(turn.text for turn in attempt.turns)
    return await settle_turn(
        store,
        attempt,
        text=text,
        detail={"model": "m"},
        first_token_ms=1,
        keep=keep,
        messages=[
            {"role": "user", "content": question},
            {"role": "assistant", "content": text},
        ],
    )


async def events(store: Store, stream: str = SHARD.results) -> list[Event]:
    """All events of a stream, parsed."""
    return [parse_event(fields) for _, fields in await redis(store).xrange(stream)]


async def story(store: Store) -> list[str]:
    """The results in short: `heard 1`, `transcript 1 hello`, `skipped 2 noise`, `reply 3 hi`."""
    return [tell(event) for event in await events(store)]


def tell(event: Event) -> str:
    match event:
        case Heard():
            return f"heard {event.turn}"
        case Transcript():
            return f"transcript {event.turn} {event.data.text}"
        case Skipped():
            into = f" {event.data.into}" if event.data.into else ""
            return f"skipped {event.turn} {event.data.reason}{into}"
        case Reply():
            return f"reply {event.turn} {event.data.text}"
        case Error():
            return f"error {event.turn} {event.data.reason}"
        case _:
            return f"delta {event.turn} {event.data.text}"


async def state(store: Store) -> dict[str, str]:
    """The session's hash."""
    found = await redis(store).hgetall(SHARD.session(ADA))
    return {name.decode(): value.decode() for name, value in found.items()}


async def record(store: Store, turn: int) -> dict[str, Any] | None:
    """The record of a turn, while it is unsettled."""
    raw = await redis(store).hget(SHARD.inbox(ADA), turn)
    found: dict[str, Any] | None = json.loads(raw) if raw else None
    return found


async def history(store: Store) -> list[str]:
    """The contents of the chat messages."""
    lines = await redis(store).lrange(SHARD.history(ADA), 0, -1)
    return [json.loads(line)["content"] for line in lines]


async def wakes(store: Store) -> list[str]:
    """The waiting wake-ups, as the turns that they were made for."""
    return [fields[b"turn"].decode() for _, fields in await redis(store).xrange(SHARD.turns)]


async def is_open(store: Store) -> bool:
    """Whether the session is noted as unfinished."""
    return await redis(store).zscore(SHARD.open, ADA) is not None


async def ttl(store: Store, key: str) -> int:
    """Milliseconds that a key has left; -1: for ever, -2: it is not there."""
    return int(await redis(store).pttl(key))


async def assert_at_rest(store: Store) -> None:
    """Nothing is unfinished, nothing waits, and what is left of the session will expire."""
    fields = await state(store)
    assert fields["last"] == fields["done"]
    assert not {"wake", "token", "taken"} & fields.keys()
    assert not await is_open(store)
    assert await ttl(store, SHARD.session(ADA)) > 0
    assert await ttl(store, SHARD.history(ADA)) != -1
    assert await ttl(store, SHARD.inbox(ADA)) == -2
    for stream in (SHARD.utterances, SHARD.recordings, SHARD.turns):
        assert await redis(store).xlen(stream) == 0


async def pending(store: Store, stream: str) -> list[dict[str, Any]]:
    """What is claimed in a work stream, with consumer, deliveries and idle time (ms)."""
    group = LLM_GROUP if stream == SHARD.turns else STT_GROUP
    rows: list[dict[str, Any]] = await redis(store).xpending_range(stream, group, "-", "+", 100)
    return rows


async def everything(store: Store) -> dict[bytes, bytes]:
    """The serialized value of every key, and whether it expires."""
    keys = await redis(store).keys("*")
    return {
        key: await redis(store).dump(key) + bytes([await redis(store).pttl(key) > 0])
        for key in keys
    }


async def next_ms(store: Store) -> None:
    """Wait until Redis's clock has moved on by a millisecond or more."""
    start = await redis(store).time()
    while True:
        seconds, micros = await redis(store).time()
        if (seconds - start[0]) * 1_000_000 + micros - start[1] >= 2_000:
            return


async def expire(store: Store) -> None:
    """The producer of an eager turn has been silent for too long."""
    await next_ms(store)
    assert await tend(store, ADA) == ["expired"]
