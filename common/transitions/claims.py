"""Claims on entries, and the transitions of every worker on them."""

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
    any more, because of a newer revision, a later attempt that has ended or a session that is gone.
    Then no turn has ended, at most the entry has.
    """

    OK = "ok"
    LOST = "lost"
    STALE = "stale"


async def heartbeat(
    store: Store, stream: str, group: str, consumer: str, entries: Sequence[str]
) -> set[str]:
    """Keep the claims on the entries in hand; return those that this consumer no longer holds."""
    if not entries:
        return set()
    answer = await HEARTBEAT(
        store.redis, {"stream": stream}, group=group, consumer=consumer, entries=entries
    )
    return {entry.decode() for entry in answer}


async def hand_back(
    store: Store, stream: str, group: str, consumer: str, entries: Sequence[str]
) -> int:
    """Free entries at once, their delivery uncounted; return how many this consumer still held."""
    if not entries:
        return 0
    return int(
        await HAND_BACK(
            store.redis, {"stream": stream}, group=group, consumer=consumer, entries=entries
        )
    )


async def leave(store: Store, stream: str, group: str, consumer: str | bytes) -> bool:
    """Remove a consumer; return False, with nothing changed, if entries are pending for it."""
    return bool(await LEAVE(store.redis, {"stream": stream}, group=group, consumer=consumer))


async def make_group(store: Store, stream: str, group: str) -> bool:
    """Make a group from the start of its stream; return False if it was there."""
    return bool(await MAKE_GROUP(store.redis, {"stream": stream}, group=group))


async def drop_vanished(store: Store, stream: str, group: str, consumer: str) -> list[str]:
    """Acknowledge what is pending for a consumer and no longer in the stream; return the ids."""
    answer = await DROP_VANISHED(store.redis, {"stream": stream}, group=group, consumer=consumer)
    return [entry.decode() for entry in answer]
