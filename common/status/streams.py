"""What a stream holds for its workers: XLEN and XPENDING only, since XINFO STREAM reads audio."""

from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from common.entry_id import added_at_ms
from common.keys import LLM_GROUP, STT_GROUP
from common.redis.failures import is_no_group

GROUPS: Final = {"utterances": STT_GROUP, "recordings": STT_GROUP, "turns": LLM_GROUP}
"""The streams of a shard that workers read, by their attribute of Shard, each with its group."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work in a stream. `waiting` entries are not in hand yet; `oldest_s` counts both kinds.

    `oldest_s` is 0 where there is no entry, and None where we may not read the oldest one.
    """

    waiting: int
    in_hand: int
    oldest_s: float | None


async def count_waiting(redis: Any, stream: str, group: str) -> int:
    """Return how many entries no worker has taken."""
    length = int(await redis.xlen(stream))
    in_hand, _ = await _in_hand(redis, stream, group)
    return max(0, length - in_hand)


async def has_work(redis: Any, stream: str, group: str) -> bool:
    """Tell whether anything waits in a stream or is in hand."""
    return bool(await redis.xlen(stream)) or (await _in_hand(redis, stream, group))[0] > 0


async def read_backlog(redis: Any, stream: str, group: str, now_ms: int) -> Backlog:
    """Return what a stream holds; `now_ms` is Redis's clock."""
    length = await redis.xlen(stream)
    if length == 0:
        return Backlog(0, 0, 0.0)
    in_hand, oldest = await _in_hand(redis, stream, group)
    if oldest is None:
        try:
            rows = await redis.xrange(stream, count=1)
        except NoPermissionError:
            return Backlog(length, 0, None)
        oldest = rows[0][0] if rows else None
    age_s = 0.0 if oldest is None else (now_ms - added_at_ms(oldest)) / 1000
    return Backlog(max(0, length - in_hand), in_hand, max(0.0, age_s))


async def list_claims(redis: Any, stream: str, group: str, limit: int) -> list[tuple[bytes, str]]:
    """Return the oldest entries in hand, each as its id and the consumer that holds it."""
    try:
        rows = await redis.xpending_range(stream, group, "-", "+", limit)
    except ResponseError as error:
        if not is_no_group(error):
            raise
        return []  # no worker has ever started
    return [(row["message_id"], row["consumer"].decode("utf-8", "replace")) for row in rows]


async def _in_hand(redis: Any, stream: str, group: str) -> tuple[int, bytes | None]:
    """Return how many entries of a stream are in hand, and the oldest of them."""
    try:
        summary = await redis.xpending(stream, group)
    except ResponseError as error:
        if not is_no_group(error):
            raise
        return 0, None  # no worker has ever started
    return int(summary["pending"]), summary["min"]
