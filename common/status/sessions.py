"""Reading conversations: which ones there are, what is kept of each, which are unfinished."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeVar

from redis.exceptions import ResponseError

from common.errors import BadInput
from common.keys import Shard, check_session_id
from common.redis.store import Store
from common.transitions.answering import Message, parse_message

Answer = TypeVar("Answer")

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

    `persona` and `hotwords` are the session's own, empty unless somebody chose them; `language` is
    the one that was last heard for sure; `expires_in_s` is None while turns are unanswered.
    """

    session: str
    epoch: int
    began_s: float
    turns: int
    unanswered: int
    persona: str
    language: str
    hotwords: str
    messages: int
    expires_in_s: float | None

    @property
    def rounds(self) -> int:
        """How many questions are remembered, each with its answer."""
        return self.messages // 2


@dataclass(frozen=True, slots=True)
class Listening:
    """What STT takes from a session: see session.lua."""

    language: str
    phrase: str
    hotwords: str
    persona: str

    def phrase_before(self, turn: int) -> str:
        """Return the stock phrase of an earlier turn; not that of a draft of the same turn."""
        number, _, phrase = self.phrase.partition(" ")
        return phrase if _number(number.encode()) < turn else ""


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
    records = await _unless_foreign(redis.hgetall(shard.inbox(name)), {})
    taken = _number(await redis.hget(shard.session(name), "taken"))
    lines = await _unless_foreign(redis.lrange(shard.history(name), 0, -1), [])
    return SessionContents(
        found,
        [message for line in lines if (message := parse_message(line)) is not None],
        [
            OpenTurn(turn, _state(record, answering=turn <= taken), str(record.get("text", "")))
            for turn, record in sorted(
                ((_number(turn), _parse_record(raw)) for turn, raw in records.items()),
                key=lambda item: item[0],
            )
        ],
    )


async def read_extent(store: Store, name: str) -> tuple[int, int] | None:
    """Return the epoch and the last turn of a session; None if there is none of this name."""
    redis: Any = store.redis
    key = store.shard(name).session(name)
    # two HGET: nobody else needs a permission for HMGET
    epoch, last = await redis.hget(key, "epoch"), await redis.hget(key, "last")
    return None if epoch is None or last is None else (_number(epoch), _number(last))


async def read_listening(store: Store, name: str) -> Listening:
    """Return what STT takes from a session; empty if there is none, or if its key is another's."""
    key = store.shard(name).session(name)
    redis: Any = store.redis
    # several HGET: nobody else needs a permission for HMGET
    found = [await _unless_foreign(redis.hget(key, one.name), None) for one in fields(Listening)]
    return Listening(*map(_text, found))


async def is_being_answered(store: Store, name: str) -> bool:
    """Tell whether an LLM worker works on a turn of the session."""
    redis: Any = store.redis
    return await redis.hget(store.shard(name).session(name), "token") is not None


async def read_quarantine(store: Store, shard: Shard, limit: int) -> dict[str, str]:
    """Return sessions that were set aside, each with the reason: any `limit` of them."""
    redis: Any = store.redis
    flat = await redis.hrandfield(shard.quarantine, limit, True)
    texts = [value.decode("utf-8", "replace") for value in flat or []]
    return dict(zip(texts[::2], texts[1::2], strict=True))


async def unfinished_utterances(store: Store, session: str) -> set[str]:
    """Return the utterances of turns that have not ended, or that wait behind such a turn."""
    redis: Any = store.redis
    records = await redis.hvals(store.shard(session).inbox(session))
    return {str(record["id"]) for raw in records if "id" in (record := _parse_record(raw))}


async def _session(store: Store, shard: Shard, name: str) -> Session | None:
    redis: Any = store.redis
    found: Mapping[bytes, bytes] = await _unless_foreign(redis.hgetall(shard.session(name)), {})
    if not found:
        return None
    seconds, micros = await redis.time()
    left_ms = await redis.pttl(shard.session(name))
    epoch, last, done = (_number(found.get(key)) for key in (b"epoch", b"last", b"done"))
    return Session(
        session=name,
        epoch=epoch,
        began_s=max(0.0, seconds + micros / 1e6 - epoch / 1000),
        turns=last,
        unanswered=last - done,
        **{name: _text(found.get(name.encode())) for name in ("persona", "language", "hotwords")},
        messages=await _unless_foreign(redis.llen(shard.history(name)), 0),
        expires_in_s=None if left_ms < 0 else left_ms / 1000,
    )


async def _unless_foreign(reading: Awaitable[Answer], otherwise: Answer) -> Answer:
    """Await a read; return `otherwise` if the key holds something of another type."""
    try:
        return await reading
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        return otherwise


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _number(raw: bytes | None) -> int:
    """Return a counter of a session; 0 for one that is missing or that no script has written."""
    return int(raw) if raw is not None and re.fullmatch(rb"[0-9]{1,15}", raw) else 0


def _parse_record(raw: bytes) -> dict[str, Any]:
    """Return a record; empty if it cannot be read, and then `tend` ends its turn as lost."""
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _state(record: Mapping[str, Any], *, answering: bool) -> str:
    if not record:
        return "cannot be read"
    if "skip" in record or "error" in record:
        return "ended"
    if "text" in record and record.get("final"):
        return "is being answered" if answering else "waits for its answer"
    return "waits for its transcript" if record.get("final") else "is being spoken"
