"""What a stream holds for its workers: XLEN and XPENDING only, since XINFO STREAM reads audio."""

from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from common.entry_id import added_at_ms
from common.keys import DEFERRED, HANDED_BACK, LLM_GROUP, STT_GROUP
from common.redis.failures import is_no_group

GROUPS: Final = {"utterances": STT_GROUP, "recordings": STT_GROUP, "turns": LLM_GROUP}
"""The streams of a shard that workers read, by their attribute of Shard, each with its group."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work in a stream. `oldest_s` counts all kinds of it.

    `waiting` entries may be taken now, `in_hand` are workers', and `deferred` ones failed and wait
    until they may be tried again. `oldest_s` is 0 where there is no entry, and None where we may
    not read the oldest one.
    """

    waiting: int
    in_hand: int
    oldest_s: float | None
    deferred: int = 0


@dataclass(frozen=True, slots=True)
class _Pending:
    """The pending entries of a group, and the oldest of them. `free` were handed back."""

    in_hand: int = 0
    deferred: int = 0
    free: int = 0
    oldest: bytes | None = None


async def count_waiting(redis: Any, stream: str, group: str) -> int:
    """Return how many entries no worker has taken."""
    length = int(await redis.xlen(stream))
    pending = await _read_pending(redis, stream, group)
    return max(0, length - pending.in_hand - pending.deferred)


async def has_work(redis: Any, stream: str, group: str) -> bool:
    """Tell whether anything waits in a stream or is in hand."""
    if await redis.xlen(stream):
        return True
    return await _read_pending(redis, stream, group) != _Pending()


async def read_backlog(redis: Any, stream: str, group: str, now_ms: int) -> Backlog:
    """Return what a stream holds; `now_ms` is Redis's clock."""
    length = await redis.xlen(stream)
    if length == 0:
        return Backlog(0, 0, 0.0)
    pending = await _read_pending(redis, stream, group)
    oldest = pending.oldest
    if oldest is None:
        try:
            rows = await redis.xrange(stream, count=1)
        except NoPermissionError:
            return Backlog(length, 0, None)
        oldest = rows[0][0] if rows else None
    age_s = 0.0 if oldest is None else (now_ms - added_at_ms(oldest)) / 1000
    waiting = max(0, length - pending.in_hand - pending.deferred)
    return Backlog(waiting, pending.in_hand, max(0.0, age_s), pending.deferred)


async def list_claims(redis: Any, stream: str, group: str, limit: int) -> list[tuple[bytes, str]]:
    """Return the oldest entries in hand, each as its id and the consumer that holds it."""
    try:
        rows = await redis.xpending_range(stream, group, "-", "+", limit)
    except ResponseError as error:
        if not is_no_group(error):
            raise
        return []  # no worker has ever started
    return [(row["message_id"], row["consumer"].decode("utf-8", "replace")) for row in rows]


async def _read_pending(redis: Any, stream: str, group: str) -> _Pending:
    """Return what a group has taken from a stream and not settled."""
    try:
        summary = await redis.xpending(stream, group)
    except ResponseError as error:
        if not is_no_group(error):
            raise
        return _Pending()  # no worker has ever started
    counts = {
        consumer["name"].decode("utf-8", "replace"): int(consumer["pending"])
        for consumer in summary.get("consumers") or []
    }
    free, deferred = counts.get(HANDED_BACK, 0), counts.get(DEFERRED, 0)
    in_hand = int(summary["pending"]) - free - deferred
    return _Pending(in_hand, deferred, free, summary.get("min"))
