"""What cannot be transcribed leaves the STT worker as an error and a whole dead letter."""

import pytest

from common.audio import FLAC_HEAD_BYTES
from common.errors import BadAudio, BadEntry
from common.events import Error
from common.redis.store import Store
from common.settings import SttSettings
from common.transitions.claims import Settled
from tests.support.redis_server import RedisServer
from tests.unit.workers.stt.handler.fake_engine import (
    CONSUMER,
    FakeContext,
    FakeEngine,
    add_foreign_entry,
    make_utterance,
    publish_and_claim,
    read_dead_letters,
    read_events,
    redis_of,
)
from workers.stt.handler import SttHandler


async def test_audio_that_is_none_ends_as_an_error_and_a_whole_dead_letter(
    store: Store, handler: SttHandler, engine: FakeEngine, context: FakeContext
) -> None:
    torn = make_utterance().audio[:FLAC_HEAD_BYTES] + b"no frames"
    delivery = await publish_and_claim(store, audio=torn)
    with pytest.raises(BadAudio) as caught:
        await handler.handle(delivery, context)
    assert not engine.got
    assert context.answers == 0
    sentence = str(caught.value)
    assert await handler.bury(delivery, context, reason="bad_audio", error=sentence) is Settled.OK
    error = (await read_events(store))[-1]
    assert isinstance(error, Error)
    assert (error.turn, error.id) == (1, "u1")
    assert (error.data.stage, error.data.reason, error.data.error) == ("stt", "bad_audio", sentence)
    letter = (await read_dead_letters(store))[0]
    assert letter[b"audio"] == torn
    assert letter[b"worker"] == CONSUMER.encode()
    assert await redis_of(store).xlen(delivery.claim.stream) == 0


async def test_more_audio_than_the_limit_is_refused(store: Store, context: FakeContext) -> None:
    tight = Store(store.redis, 1, store.limits.model_copy(update={"max_audio_s": 0.05}))
    handler = SttHandler(tight, SttSettings(), load=lambda _: FakeEngine())
    await handler.start(context)
    with pytest.raises(BadAudio, match=r"0\.1 s"):
        await handler.handle(await publish_and_claim(store), context)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hello": "world"}, "schema version"),
        ({"v": "1", "id": "u1", "session": "s1", "codec": "flac"}, "without `publish`"),
        ({"v": "1", "id": "u1", "session": "s1", "turn": "1", "codec": "mp3"}, "codec"),
    ],
)
async def test_a_foreign_entry_is_buried_with_a_sentence_and_touches_no_session(
    store: Store, handler: SttHandler, context: FakeContext, fields: dict[str, str], sentence: str
) -> None:
    delivery = await add_foreign_entry(store, {**fields})
    with pytest.raises(BadEntry, match=sentence) as caught:
        await handler.handle(delivery, context)
    assert await handler.bury(delivery, context, reason="bad_entry", error=str(caught.value)) is (
        Settled.STALE
    )
    letter = (await read_dead_letters(store))[0]
    assert letter[b"error"].decode() == str(caught.value)
    assert {name: letter[name.encode()].decode() for name in fields} == fields
    assert await redis_of(store).xlen(delivery.claim.stream) == 0
    assert await read_events(store) == []


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
    store: Store, handler: SttHandler, context: FakeContext, fields: dict[str, str | bytes]
) -> None:
    delivery = await add_foreign_entry(store, fields)
    buried = await handler.bury(delivery, context, reason="bad_entry", error="nonsense")
    assert buried is Settled.STALE
    assert len(await read_dead_letters(store)) == 1


async def test_an_entry_on_a_shard_that_is_not_its_session_s_is_refused(
    redis_server: RedisServer, store: Store, context: FakeContext
) -> None:
    two = Store(store.redis, 2, store.limits)
    handler = SttHandler(two, SttSettings(), load=lambda _: FakeEngine())
    await handler.start(context)
    at_home = next(s for s in (f"s{n}" for n in range(9)) if two.shard(s).number == 1)
    stray: dict[str, str | bytes] = {"v": "1", "id": "u1", "session": at_home, "turn": "1"}
    delivery = await add_foreign_entry(two, stray)
    assert delivery.claim.shard.number == 0
    with pytest.raises(BadEntry, match="does not belong to shard 0"):
        await handler.handle(delivery, context)
    assert await handler.bury(delivery, context, reason="bad_entry", error="stray") is Settled.STALE
