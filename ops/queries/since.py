"""The option --since: how far back to read the results (`now`, `all`, or an age such as 24h)."""

import re
from typing import Any, Final

from common.entry_id import NEWEST, OLDEST, first_since
from common.errors import BadInput
from common.redis.link import Link
from common.redis.store import Store

UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def parse_age(since: str, *, now: bool = True) -> float | None:
    """Parse --since into seconds. None means everything that is kept.

    Raises BadInput for any other text. Where `now` is false, it refuses `now` and 0s as well.
    """
    if since == "all":
        return None
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", "0s" if since == "now" else since)
    seconds = int(match[1]) * UNITS[match[2]] if match else None
    if seconds is None or not (seconds or now):
        words = "now, all" if now else "all"
        raise BadInput(f"--since {since!r} is none of: {words}, or an age such as 90s, 15m, 24h")
    return seconds


async def find_start(store: Store, link: Link, age_s: float | None) -> str:
    """Return the id of the stream entry after which to begin, by the Redis server's clock."""
    if not age_s:
        return OLDEST if age_s is None else NEWEST
    redis: Any = store.redis
    seconds, _ = await link.retry_until_answered(redis.time)
    return first_since((seconds - age_s) * 1000)
