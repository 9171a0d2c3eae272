"""What a version of earshot writes, recorded for those after it: `python -m tests.recorded.record`.

Run it once for each new schema version and commit what it makes.
tests/integration/pipeline/test_versions.py holds every later version to what was recorded. The
record of a producer is the scripts' text with keys and arguments, as they go over the wire; of the
workers, entries as they stand in the streams.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from redis.exceptions import NoScriptError

from common.keys import LLM_GROUP, Shard
from common.redis.store import Store
from common.transitions.answering import Attempt, bury_turn, delta, settle_turn, take_turn
from common.transitions.claims import Claim
from common.transitions.publishing import commit, publish
from common.transitions.transcribing import bury_utterance, settle_utterance
from common.utterance import SCHEMA, Utterance
from ops.bench.chaos.plan import Kind, PlannedUtterance
from ops.bench.chaos.speech import InstantEngine, make_utterance
from tests.conftest import FAST
from tests.support.redis_server import RedisServer

FOLDER: Final = Path(__file__).parent
SHARD: Final = Shard(0)
SESSION: Final = "recorded"


def file_of(version: int) -> Path:
    """Where a version's recording is."""
    return FOLDER / f"version_{version}.json"


def plain(value: str | bytes | float) -> str | dict[str, str]:
    """Text as it is, bytes that are none as base64."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def raw(value: str | dict[str, str]) -> bytes:
    """What `plain` was made of."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


class Wire:
    """A client that notes what is sent for each script."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.scripts: dict[str, str] = {}
        self.sent: list[dict[str, Any]] = []

    async def evalsha(self, digest: str, *rest: Any) -> Any:
        raise NoScriptError(digest)

    async def eval(self, script: str, keys: int, *rest: str | bytes | float) -> Any:
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self.scripts[digest] = script
        self.sent.append(
            {
                "script": digest,
                "keys": [plain(key) for key in rest[:keys]],
                "args": [plain(value) for value in rest[keys:]],
            }
        )
        return await self._redis.eval(script, keys, *rest)

    def __getattr__(self, command: str) -> Any:
        return getattr(self._redis, command)


async def record(redis: Any) -> dict[str, Any]:
    """Everything that is written on the way of some turns, each with another end."""
    wire: Any = Wire(redis)
    store = Store(wire, 1, FAST)
    spoken = make_utterance(PlannedUtterance(7, SESSION, 0, Kind.SPEECH), InstantEngine.name)
    extras = {"persona": "butler", "language": "en", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    draft = spoken.model_copy(update={"final": False, "hold_ms": 250, **extras})
    await publish(store, draft)
    await commit(store, SESSION, draft.id, 1)
    await publish(store, Utterance(id="typed", session=SESSION, text="Hello", source="say"))
    for other in ("noise", "broken"):
        await publish(store, spoken.model_copy(update={"id": other}))
    scripts, sent = dict(wire.scripts), list(wire.sent)
    entries = await _entries(redis, SHARD.utterances)
    await _settle(store, redis)
    first = await _attempt(store, redis)
    await delta(store, first, 0, "I ")
    detail = {"model": "m", "finish_reason": "stop", "interrupted": False, "worker": "llm-1"}
    detail |= {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}
    answer = {"role": "assistant", "content": "I will."}
    await settle_turn(
        store, first, text="I will.", detail=detail, first_token_ms=5, keep=2, messages=[answer]
    )
    await publish(store, Utterance(id="refused", session=SESSION, text="Well?", source="say"))
    wake_ups = await _entries(redis, SHARD.turns)
    refused = await _attempt(store, redis)
    await bury_turn(
        store, refused, reason="permanent", error="too long", deliveries=1, worker="llm-1"
    )
    return {
        "schema": SCHEMA,
        "scripts": scripts,
        "sent": sent,
        "utterances": entries,
        "turns": wake_ups,
        "results": await _entries(redis, SHARD.results),
        "deltas": await _entries(redis, SHARD.deltas),
        "dead": await _entries(redis, SHARD.dead),
    }


async def _settle(store: Store, redis: Any) -> None:
    await redis.xgroup_create(SHARD.utterances, "stt", "0")
    rows = await redis.xreadgroup("stt", "stt-1", {SHARD.utterances: ">"})
    said, noise, broken = [entry.decode() for entry, _ in rows[0][1]]
    detail = {"model": "instant", "worker": "stt-1", "language": "en", "audio_ms": 100}

    def claim(entry: str) -> Claim:
        return Claim(SHARD, SHARD.utterances, entry, "stt-1")

    number = make_utterance(PlannedUtterance(7, SESSION, 0, Kind.SPEECH), InstantEngine.name).id
    await settle_utterance(
        store,
        claim(said),
        session=SESSION,
        turn=1,
        utterance=number,
        text="Do it.",
        stt_ms=9,
        detail=detail,
    )
    await settle_utterance(
        store,
        claim(noise),
        session=SESSION,
        turn=3,
        utterance="noise",
        skip="noise",
        stt_ms=9,
        detail=detail,
    )
    await bury_utterance(
        store,
        claim(broken),
        session=SESSION,
        turn=4,
        utterance="broken",
        reason="bad_audio",
        error="it is no FLAC",
        deliveries=1,
        worker="stt-1",
    )
    await redis.xgroup_create(SHARD.turns, LLM_GROUP, "0")


async def _attempt(store: Store, redis: Any) -> Attempt:
    rows = await redis.xreadgroup(LLM_GROUP, "llm-1", {SHARD.turns: ">"})
    entry = rows[0][1][0][0].decode()
    claim = Claim(SHARD, SHARD.turns, entry, "llm-1")
    attempt = await take_turn(store, claim, SESSION, token="t", max_merge=4, history=4)
    assert isinstance(attempt, Attempt)
    return attempt


async def _entries(redis: Any, stream: str) -> list[dict[str, str | dict[str, str]]]:
    rows: Sequence[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(stream)
    return [{key.decode(): plain(value) for key, value in row.items()} for _, row in rows]


async def main() -> None:
    with RedisServer() as server:
        async with server.client() as client:
            recording = await record(client)
    file_of(SCHEMA).write_text(json.dumps(recording, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
