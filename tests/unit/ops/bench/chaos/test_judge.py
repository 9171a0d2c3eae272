"""The judge of a chaos run sees every promise that is broken, and none that is kept."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from common.keys import LLM_GROUP, STT_GROUP, Shard
from common.redis.store import Store
from common.settings import LlmSettings
from ops.bench.chaos.judge import Findings, judge
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import InstantEngine, spoken_text
from ops.demo.standin.api.protocol import Message
from ops.demo.standin.wit.replies import reply_to
from workers.llm.prompt import round_messages

SHARD = Shard(0)
SESSION = "session-1"
LLM = LlmSettings(rounds=5)
EPOCH = 1_000

UNREADABLE = "the audio is no readable FLAC (another format); encode it again"

Change = Callable[["Scene"], Awaitable[None]]


class Scene:
    """What a run of three utterances leaves behind: speech, noise, and one that was planted."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.redis: Any = store.redis
        self.said = [
            PlannedUtterance(0, SESSION, 0.0, Kind.SPEECH),
            PlannedUtterance(1, SESSION, 0.1, Kind.NOISE),
            PlannedUtterance(2, SESSION, 0.2, Kind.BROKEN),
            PlannedUtterance(3, SESSION, 0.3, Kind.SPEECH),
        ]
        self.history: list[dict[str, str]] = []

    async def play(self) -> None:
        for stream, group in (
            (SHARD.utterances, STT_GROUP),
            (SHARD.recordings, STT_GROUP),
            (SHARD.turns, LLM_GROUP),
        ):
            await self.redis.xgroup_create(stream, group, id="0", mkstream=True)
        for one in self.said:
            await self.emit("heard", one.number, spoken_at=0)
        await self.emit("transcript", 0, text=spoken_text(0))
        await self.emit("skipped", 1, reason="noise")
        await self.emit("error", 2, stage="stt", reason="bad_audio", error=UNREADABLE)
        await self.redis.xadd(SHARD.dead, {"id": "chaos-2"})
        await self.emit("reply", 0, text=self.answer(spoken_text(0)))
        await self.emit("transcript", 3, text=spoken_text(3))
        await self.emit("reply", 3, text=self.answer(spoken_text(3)))
        await self.redis.hset(SHARD.session(SESSION), mapping={"epoch": EPOCH})
        for message in self.history:
            await self.redis.rpush(SHARD.history(SESSION), json.dumps(message))
        for key in (SHARD.session(SESSION), SHARD.history(SESSION)):
            await self.redis.expire(key, 100)

    def answer(self, question: str) -> str:
        messages = [*self.history, {"role": "user", "content": question}]
        reply = reply_to([Message.model_validate(message) for message in messages])
        self.history += round_messages(question, reply)
        return reply

    async def emit(self, kind: str, number: int, **data: Any) -> None:
        fields = {
            "v": 1,
            "type": kind,
            "session": SESSION,
            "epoch": EPOCH,
            "turn": number + 1,
            "id": f"chaos-{number}",
            "at": 1,
            "data": json.dumps(data),
        }
        await self.redis.xadd(SHARD.results, fields)

    async def drop(self, kind: str, number: int) -> None:
        """An event that never came."""
        for entry, fields in await self.redis.xrange(SHARD.results):
            if (fields[b"type"].decode(), fields[b"id"].decode()) == (kind, f"chaos-{number}"):
                await self.redis.xdel(SHARD.results, entry)

    async def judged(self) -> Findings:
        return await judge(self.store, self.said, LLM, InstantEngine.name)


@pytest.fixture
async def scene(store: Store) -> Scene:
    scene = Scene(store)
    await scene.play()
    return scene


async def test_a_good_run_is_found_good(scene: Scene) -> None:
    findings = await scene.judged()
    assert findings.broken == []
    assert (findings.accepted, findings.answered, findings.skipped, findings.errors) == (4, 2, 1, 1)
    assert findings.dead_letters == 1
    assert findings.planted_errors == {"broken": 1}


async def no_reply(scene: Scene) -> None:
    await scene.drop("reply", 3)


async def never_heard(scene: Scene) -> None:
    for kind in ("heard", "transcript", "reply"):
        await scene.drop(kind, 3)


async def two_replies(scene: Scene) -> None:
    await scene.emit("reply", 3, text="once more")


async def two_endings(scene: Scene) -> None:
    await scene.emit("skipped", 3, reason="noise")


async def heard_again(scene: Scene) -> None:
    await scene.emit("heard", 3, spoken_at=0)


async def a_stranger(scene: Scene) -> None:
    await scene.emit("heard", 99, spoken_at=0)
    await scene.emit("skipped", 99, reason="noise")


async def replies_swapped(scene: Scene) -> None:
    [first] = [
        fields
        for _, fields in await scene.redis.xrange(SHARD.results)
        if (fields[b"type"], fields[b"id"]) == (b"reply", b"chaos-0")
    ]
    await scene.drop("reply", 0)
    await scene.redis.xadd(SHARD.results, first)


async def wrong_words(scene: Scene) -> None:
    await scene.drop("transcript", 3)
    await scene.emit("transcript", 3, text=spoken_text(7))


async def noise_answered(scene: Scene) -> None:
    await scene.drop("skipped", 1)
    await scene.emit("reply", 1, text="hello")


async def an_innocent_buried(scene: Scene) -> None:
    await scene.drop("reply", 3)
    await scene.emit("error", 3, stage="llm", reason="max_deliveries", error="killed")
    await scene.redis.xadd(SHARD.dead, {"id": "chaos-3"})


async def a_planted_one_skipped(scene: Scene) -> None:
    await scene.drop("error", 2)
    await scene.emit("skipped", 2, reason="noise")


async def another_error(scene: Scene) -> None:
    await scene.drop("error", 2)
    await scene.emit("error", 2, stage="stt", reason="bad_audio", error="there is no audio")


async def given_up_for_another_reason(scene: Scene) -> None:
    await scene.drop("error", 2)
    await scene.emit("error", 2, stage="stt", reason="failed", error=UNREADABLE)


async def an_error_after_a_later_reply(scene: Scene) -> None:
    await scene.drop("error", 2)
    await scene.emit("error", 2, stage="stt", reason="bad_audio", error=UNREADABLE)


async def another_answer(scene: Scene) -> None:
    await scene.drop("reply", 3)
    await scene.emit("reply", 3, text="I forgot what you said before.")


async def another_history(scene: Scene) -> None:
    await scene.redis.rpop(SHARD.history(SESSION))


async def a_key_for_ever(scene: Scene) -> None:
    await scene.redis.persist(SHARD.session(SESSION))


async def something_waits(scene: Scene) -> None:
    await scene.redis.xadd(SHARD.turns, {"session": SESSION})


async def something_is_claimed(scene: Scene) -> None:
    await scene.redis.xadd(SHARD.utterances, {"v": 1})
    await scene.redis.xreadgroup(STT_GROUP, "stt-dead", {SHARD.utterances: ">"})


async def a_session_is_open(scene: Scene) -> None:
    await scene.redis.zadd(SHARD.open, {SESSION: 1})
    await scene.redis.expire(SHARD.open, 100)


@pytest.mark.parametrize(
    ("change", "counter"),
    [
        (no_reply, "lost"),
        (never_heard, "unheard"),
        (two_replies, "duplicated"),
        (two_replies, "out_of_order"),
        (two_endings, "duplicated"),
        (heard_again, "duplicated"),
        (a_stranger, "duplicated"),
        (replies_swapped, "out_of_order"),
        (wrong_words, "misheard"),
        (noise_answered, "misheard"),
        (an_innocent_buried, "wrong_errors"),
        (a_planted_one_skipped, "wrong_errors"),
        (another_error, "wrong_errors"),
        (given_up_for_another_reason, "wrong_errors"),
        (an_error_after_a_later_reply, "out_of_order"),
        (another_answer, "wrong_replies"),
        (another_history, "wrong_histories"),
        (a_key_for_ever, "leftover_keys_without_ttl"),
        (something_waits, "waiting"),
        (something_is_claimed, "pending"),
        (a_session_is_open, "open_sessions"),
    ],
)
async def test_what_was_broken_is_found(scene: Scene, change: Change, counter: str) -> None:
    await change(scene)
    findings = await scene.judged()
    assert getattr(findings, counter) >= 1
    assert findings.broken


async def test_a_dead_letter_that_nobody_planted_is_found(scene: Scene) -> None:
    await scene.redis.xadd(SHARD.dead, {"id": "what is this"})
    assert (await scene.judged()).broken == ["there are 2 dead letters instead of 1"]
