"""Reading conversations: which ones there are, what is kept of each, which are unfinished."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from common.errors import BadInput
from common.keys import Shard, check_session_id
from common.redis.server import now_ms
from common.redis.store import Store
from common.transitions.answering import Message

PAGE: Final = 1_000
SESSION_KEY: Final = re.compile(r"earshot:\{([0-9]+)\}:session:(.+)", re.DOTALL)
EVERY_SESSION: Final = "earshot:{*}:session:*"


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn that has not ended. `text` is empty while it has no transcript."""

    turn: int
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """What Redis keeps of a conversation. Ages in s, by Redis's clock.

    `persona` is the session's own, empty unless somebody chose one; `expires_in_s` is None while
    turns are unanswered.
    """

    session: str
    epoch: int
    began_s: float
    turns: int
    unanswered: int
    persona: str
    messages: int
    expires_in_s: float | None

    @property
    def rounds(self) -> int:
        """How many questions are remembered, each with its answer."""
        return self.messages // 2


@dataclass(frozen=True, slots=True)
class SessionContents:
    """A session with the messages that it remembers and its unfinished turns, oldest first."""

    session: Session
    history: list[Message]
    open: list[OpenTurn]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self.session) | {
            "history": self.history,
            "open": [asdict(turn) for turn in self.open],
        }


async def list_sessions(store: Store) -> AsyncIterator[Session]:
    """Yield every session, in no order. By SCAN, which does not hold up the server."""
    redis: Any = store.redis
    seen = set()
    async for key in redis.scan_iter(match=EVERY_SESSION, count=PAGE):
        match = SESSION_KEY.fullmatch(key.decode("utf-8", "replace"))
        if match is None or key in seen:
            continue
        seen.add(key)
        found = await _session(store, Shard(int(match[1])), match[2])
        if found is not None:
            yield found


async def read_session(store: Store, name: str) -> SessionContents:
    """Return one session with its contents; raises BadInput if there is none of this name."""
    redis: Any = store.redis
    shard = store.shard(check_session_id(name))
    found = await _session(store, shard, name)
    if found is None:
        raise BadInput(
            f"there is no session {name!r}: `earshot session list` shows which there are"
        )
    records = await redis.hgetall(shard.inbox(name))
    taken = int(await redis.hget(shard.session(name), "taken") or 0)
    return SessionContents(
        found,
        [json.loads(line) for line in await redis.lrange(shard.history(name), 0, -1)],
        [
            OpenTurn(turn, _state(record, answering=turn <= taken), record.get("text", ""))
            for turn, record in sorted(
                (int(turn), json.loads(record)) for turn, record in records.items()
            )
        ],
    )


async def read_extent(store: Store, name: str) -> tuple[int, int] | None:
    """Return the epoch and the last turn of a session; None if there is none of this name."""
    redis: Any = store.redis
    key = store.shard(name).session(name)
    # two HGET: nobody else needs a permission for HMGET
    epoch, last = await redis.hget(key, "epoch"), await redis.hget(key, "last")
    return None if epoch is None or last is None else (int(epoch), int(last))


async def is_being_answered(store: Store, name: str) -> bool:
    """Tell whether an LLM worker works on a turn of the session."""
    redis: Any = store.redis
    return await redis.hget(store.shard(name).session(name), "token") is not None


async def due_sessions(store: Store, shard: Shard, limit: int) -> list[str]:
    """Return sessions with unfinished turns that nobody has touched for `tend_after_s`."""
    now = await now_ms(store.redis)
    rows = await store.redis.zrangebyscore(shard.open, 0, now, start=0, num=limit)
    return [row.decode() for row in rows if isinstance(row, bytes)]


async def unfinished_utterances(store: Store, session: str) -> set[str]:
    """Return the utterances of turns that have not ended, or that wait behind such a turn."""
    redis: Any = store.redis
    records = await redis.hvals(store.shard(session).inbox(session))
    return {record["id"] for raw in records if "id" in (record := json.loads(raw))}


async def _session(store: Store, shard: Shard, name: str) -> Session | None:
    redis: Any = store.redis
    raw: Mapping[bytes, bytes] = await redis.hgetall(shard.session(name))
    if not raw:
        return None
    fields = {key.decode(): value.decode() for key, value in raw.items()}
    seconds, micros = await redis.time()
    left_ms = await redis.pttl(shard.session(name))
    epoch, last, done = (int(fields.get(key, 0)) for key in ("epoch", "last", "done"))
    return Session(
        session=name,
        epoch=epoch,
        began_s=max(0.0, seconds + micros / 1e6 - epoch / 1000),
        turns=last,
        unanswered=last - done,
        persona=fields.get("persona", ""),
        messages=await redis.llen(shard.history(name)),
        expires_in_s=None if left_ms < 0 else left_ms / 1000,
    )


def _state(record: Mapping[str, Any], *, answering: bool) -> str:
    if "skip" in record or "error" in record:
        return "ended"
    if "text" in record and record.get("final"):
        return "is being answered" if answering else "waits for its answer"
    return "waits for its transcript" if record.get("final") else "is being spoken"
