"""Producers, workers and subscribers one version apart work together: what an older one wrote is
read as it was meant, fields that a newer one added are ignored and kept, and an entry of a newer
schema is buried with a sentence, whole, and answered when it is replayed after the upgrade; never
misread.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

import common.utterance
from common.errors import NewerSchema
from common.events import Error, Reply, Transcript, parse_event
from common.keys import LLM_GROUP, Shard
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.settings import LlmSettings, RedisSettings
from common.status.dead_letters import find_dead_letter, list_letters
from common.transitions.answering import Attempt, take_turn
from common.transitions.claims import Claim
from common.transitions.dead_letters import replay
from common.transitions.publishing import Verdict, publish
from common.utterance import SCHEMA, Utterance
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import InstantEngine, make_utterance, spoken_text
from tests.recorded.record import SESSION, file_of, raw
from tests.support.llm_handler import RetryingContext
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.worker_tasks import running_worker_tasks
from workers.llm.handler import LlmHandler, session_of
from workers.loop.handler import Delivery

SHARD: Final = Shard(0)
MAX_AUDIO: Final = 1_000_000
VERSIONS: Final = range(1, SCHEMA + 1)
Fields = Mapping[bytes, bytes]


def recording(version: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file_of(version).read_text())
    return content


def entries(version: int, stream: str) -> list[dict[bytes, bytes]]:
    return [
        {name.encode(): raw(value) for name, value in entry.items()}
        for entry in recording(version)[stream]
    ]


# -- what older ones wrote


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_entry_is_read(version: int) -> None:
    first, *_ = [
        Utterance.from_fields(entry, max_audio=MAX_AUDIO)
        for entry in entries(version, "utterances")
    ]
    assert (first.session, first.turn, first.revision, first.final) == (SESSION, 1, 1, False)
    assert (first.persona, first.language, first.hold_ms) == ("butler", "en", 250)
    assert [session_of(entry) for entry in entries(version, "turns")] == [SESSION]
    events = [parse_event(entry) for entry in entries(version, "results")]
    kinds = {event.type for event in events}
    assert kinds == {"heard", "transcript", "skipped", "reply", "error"}
    (reply,) = [event for event in events if isinstance(event, Reply)]
    assert (reply.data.text, reply.data.finish_reason) == ("I will.", "stop")
    assert reply.data.timings.done is not None
    (delta,) = [parse_event(entry) for entry in entries(version, "deltas")]
    assert delta.type == "reply.delta"


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_recorded_producer_sends_is_transcribed_and_can_be_answered(
    version: int, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own scripts, as it sent them; the workers are today's."""
    content = recording(version)
    async with running_worker_tasks(redis_server, monkeypatch) as workers:
        redis: Any = workers.store.redis
        for sent in content["sent"]:
            keys, args = ([raw(value) for value in sent[part]] for part in ("keys", "args"))
            answer = await redis.eval(content["scripts"][sent["script"]], len(keys), *keys, *args)
            assert answer[0] in {b"accepted", b"ok"}
        await workers.start("stt-1")

        async def transcribed() -> bool:
            return len(await workers.events(Transcript)) == 4

        await until(transcribed)
        attempt = await _attempt(workers.store, SESSION)
        assert [turn.text for turn in attempt.turns] == [
            spoken_text(7),
            "Hello",
            spoken_text(7),
            spoken_text(7),
        ]
        assert attempt.turns[0].persona == "butler"
        assert attempt.turns[0].traceparent.startswith("00-11")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_recorded_dead_letter_can_be_replayed(version: int, store: Store) -> None:
    redis: Any = store.redis
    for letter in entries(version, "dead"):
        entry = await redis.xadd(SHARD.dead, letter)
        answer = await replay(
            store, SHARD, entry.decode(), session=SESSION, utterance=f"new-{entry.decode()}"
        )
        assert answer is not None
        assert answer.verdict is Verdict.ACCEPTED


# -- what newer ones add


async def test_fields_that_a_newer_producer_adds_are_ignored_and_kept(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Newer(Utterance):
        mood: str = "merry"

        def for_later_stages(self) -> dict[str, Any]:
            return super().for_later_stages() | {"mood": self.mood}

    async with running_worker_tasks(redis_server, monkeypatch) as workers:
        newer = Newer(**_spoken().model_dump())
        assert b"mood" in [str(field).encode() for field in newer.to_fields()[::2]]
        await publish(workers.store, newer)
        await workers.start("stt-1")
        await workers.wait_for_transcripts(7)
        redis: Any = workers.store.redis
        record = json.loads(await redis.hget(SHARD.inbox(SESSION), "1"))
        assert record["mood"] == "merry", "for the newer worker behind this one"


@pytest.mark.parametrize("stream", ["results", "deltas"])
def test_fields_that_are_added_to_events_are_ignored(stream: str) -> None:
    for entry in entries(SCHEMA, stream):
        data = json.loads(entry[b"data"])
        more = entry | {b"mood": b"merry", b"data": json.dumps(data | {"mood": 1}).encode()}
        assert parse_event(more) == parse_event(entry)


# -- what newer ones write otherwise


def _spoken() -> Utterance:
    return make_utterance(PlannedUtterance(7, SESSION, 0, Kind.SPEECH), InstantEngine.name)


async def test_an_utterance_of_a_newer_schema_waits_among_the_dead_letters_for_the_upgrade(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_worker_tasks(redis_server, monkeypatch) as workers:
        newer = _spoken().model_copy(update={"v": SCHEMA + 1})
        await publish(workers.store, newer)
        old = await workers.start("stt-old")
        (error,) = await until(lambda: workers.events(Error))
        assert error.data.reason == "newer_schema"
        assert error.data.error == (
            f"the entry has schema version {SCHEMA + 1}, and this program reads {SCHEMA}:"
            " upgrade it"
        )
        assert old.engine.calls == [], "it was not transcribed as if it were the old one"
        await old.terminate()

        monkeypatch.setattr(common.utterance, "SCHEMA", SCHEMA + 1)
        (listed,) = [letter async for letter in list_letters(workers.store, "newer_schema")]
        letter = await find_dead_letter(workers.store, listed.entry)
        assert letter.fields["audio"] == newer.audio
        await replay(workers.store, SHARD, letter.entry, session=SESSION, utterance="again")
        await workers.start("stt-upgraded")
        await workers.wait_for_transcripts(7)


async def test_a_wake_up_of_a_newer_schema_is_no_reason_to_misread_the_turn(store: Store) -> None:
    redis: Any = store.redis
    await publish(store, Utterance(id="u1", session=SESSION, text="Hello"))
    # as the scripts of a newer worker would have made it
    (old, _), *_ = await redis.xrange(SHARD.turns)
    await redis.xdel(SHARD.turns, old)
    newer = {"v": str(SCHEMA + 1), "session": SESSION, "turn": "1"}
    wake = await redis.xadd(SHARD.turns, newer)
    await redis.hset(SHARD.session(SESSION), "wake", wake)
    await redis.xgroup_create(SHARD.turns, LLM_GROUP, "0")
    ((_, ((entry, fields),)),) = await redis.xreadgroup(LLM_GROUP, "llm-1", {SHARD.turns: ">"})
    handler = LlmHandler(store, LlmSettings())
    delivery = Delivery(Claim(SHARD, SHARD.turns, entry.decode(), "llm-1"), fields, 1)
    with pytest.raises(NewerSchema) as refusal:
        await handler.handle(delivery, RetryingContext())
    await handler.bury(delivery, RetryingContext(), reason="newer_schema", error=str(refusal.value))
    await handler.close()
    (letter,) = [letter async for letter in list_letters(store)]
    assert (letter.text("text"), letter.text("reason")) == ("Hello", "newer_schema")


async def test_a_subscriber_leaves_a_newer_event_out_and_says_so(store: Store) -> None:
    redis: Any = store.redis
    (heard, *_, last) = entries(SCHEMA, "results")
    for entry in (heard, last | {b"v": str(SCHEMA + 1).encode()}, last):
        await redis.xadd(SHARD.results, entry)
    link = Link(store.redis, RedisSettings(), max_pause_s=1)
    with capture_logs() as logs:
        subscriber = Subscriber(store, link, since="0-0", follow=False)
        received = [one.event.type async for one in subscriber.events()]
    assert received == ["heard", "error"]
    (warning,) = logs
    assert "schema version 2, and this program reads 1" in warning["why"]


async def _attempt(store: Store, session: str) -> Attempt:
    redis: Any = store.redis
    await redis.xgroup_create(SHARD.turns, LLM_GROUP, "0")
    ((_, ((entry, fields),)),) = await redis.xreadgroup(
        LLM_GROUP, "llm-1", {SHARD.turns: ">"}, count=1
    )
    claim = Claim(SHARD, SHARD.turns, entry.decode(), "llm-1")
    attempt = await take_turn(store, claim, session_of(fields), token="t", max_merge=4, history=4)
    assert isinstance(attempt, Attempt)
    return attempt
