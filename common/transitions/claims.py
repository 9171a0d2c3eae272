"""Claims on entries, and every worker's transitions over them: heartbeat, hand_back, leave,
make_group, drop_vanished."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from common.keys import Shard
from common.redis.script import Script
from common.redis.store import Store

HEARTBEAT: Final = Script("heartbeat")
HAND_BACK: Final = Script("hand_back")
LEAVE: Final = Script("leave")
MAKE_GROUP: Final = Script("make_group")
DROP_VANISHED: Final = Script("drop_vanished")


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry of a work stream in the hands of a consumer."""

    shard: Shard
    stream: str
    entry: str
    consumer: str


class Settled(Enum):
    """What became of an attempt to end an entry or a turn.

    LOST: another worker holds the claim, and nothing changed. STALE: no turn waits for the result
    any more (a newer revision, a later attempt that has ended, a session that is gone): at most the
    entry has ended, no turn has.
    """

    OK = "ok"
    LOST = "lost"
    STALE = "stale"


async def heartbeat(
    store: Store, stream: str, group: str, consumer: str, entries: Sequence[str]
) -> set[str]:
    """Keep the claims on the entries in hand; returns those that are no longer ours."""
    if not entries:
        return set()
    answer = await HEARTBEAT(
        store.redis, {"stream": stream}, group=group, consumer=consumer, entries=entries
    )
    return {entry.decode() for entry in answer}


async def hand_back(
    store: Store, stream: str, group: str, consumer: str, entries: Sequence[str]
) -> int:
    """Give entries back at once, their delivery uncounted; returns how many were still ours."""
    if not entries:
        return 0
    return int(
        await HAND_BACK(
            store.redis, {"stream": stream}, group=group, consumer=consumer, entries=entries
        )
    )


async def leave(store: Store, stream: str, group: str, consumer: str) -> bool:
    """Remove a consumer; False (and nothing changed) if entries are pending for it."""
    return bool(await LEAVE(store.redis, {"stream": stream}, group=group, consumer=consumer))


async def make_group(store: Store, stream: str, group: str) -> bool:
    """Make a group that is missing, from the start of the stream; False if it was there."""
    return bool(await MAKE_GROUP(store.redis, {"stream": stream}, group=group))


async def drop_vanished(store: Store, stream: str, group: str, consumer: str) -> list[str]:
    """Acknowledge what is pending for a consumer and no longer in the stream; returns the ids."""
    answer = await DROP_VANISHED(store.redis, {"stream": stream}, group=group, consumer=consumer)
    return [entry.decode() for entry in answer]
