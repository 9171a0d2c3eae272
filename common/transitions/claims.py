"""Claims on entries, and the transitions of every worker on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, cast

from common.keys import Shard
from common.redis.script import Script
from common.redis.store import Store, ms

HEARTBEAT: Final = Script("heartbeat")
HAND_BACK: Final = Script("hand_back")
MEND_IDLE: Final = Script("mend_idle")
LEAVE: Final = Script("leave")
MAKE_GROUP: Final = Script("make_group")
TAKE_OVER: Final = Script("take_over")


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
    store: Store,
    stream: str,
    group: str,
    consumer: str,
    entries: Sequence[str],
    *,
    pause_s: float = 0,
) -> int:
    """Free entries, their delivery uncounted; return how many this consumer still held.

    Any worker may take them at once, or after `pause_s`.
    """
    if not entries:
        return 0
    return int(
        await HAND_BACK(
            store.redis,
            {"stream": stream},
            group=group,
            consumer=consumer,
            pause_ms=ms(pause_s),
            entries=entries,
        )
    )


async def mend_idle(store: Store, stream: str, group: str) -> int:
    """Let claims age again that were made before the server's clock was set back; return how many.

    It also counts claims of this very millisecond, for which it changes nothing.
    """
    return int(await MEND_IDLE(store.redis, {"stream": stream}, group=group))


async def leave(store: Store, stream: str, group: str, consumer: str | bytes) -> bool:
    """Remove a consumer; return False, with nothing changed, if entries are pending for it."""
    return bool(await LEAVE(store.redis, {"stream": stream}, group=group, consumer=consumer))


async def make_group(store: Store, stream: str, group: str) -> bool:
    """Make a group from the start of its stream; return False if it was there."""
    return bool(await MAKE_GROUP(store.redis, {"stream": stream}, group=group))


TakeOverKind = Literal["handed_back", "abandoned", "deferred"]


@dataclass(frozen=True, slots=True)
class TakenEntry:
    """An entry taken over. `deliveries` counts this delivery as well."""

    entry: str
    fields: Mapping[bytes, bytes]
    deliveries: int
    kind: TakeOverKind


@dataclass(frozen=True, slots=True)
class TakeOver:
    """What a worker took over, and the ids of entries that were pending and no longer there."""

    entries: Sequence[TakenEntry]
    vanished: Sequence[str]


async def take_over(
    store: Store,
    stream: str,
    group: str,
    consumer: str,
    *,
    claim_idle_s: float,
    limit: int,
    abandoned: bool = True,
    avoided: Sequence[str] = (),
    grace_s: float = 0,
) -> TakeOver:
    """Take one entry that was handed back, or abandoned ones, or one that is to be tried again.

    At most `limit` entries whose workers have sent no heartbeat for `claim_idle_s`, and none with
    `abandoned` off. Those in `avoided` are tried again `grace_s` later than others.
    """
    kind, flat, vanished = await TAKE_OVER(
        store.redis,
        {"stream": stream},
        group=group,
        consumer=consumer,
        claim_idle_ms=ms(claim_idle_s),
        limit=limit,
        abandoned=abandoned,
        grace_ms=ms(grace_s),
        avoided=avoided,
    )
    entries: list[TakenEntry] = []
    for entry, fields, deliveries in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        named: dict[Any, Any] = dict(zip(fields[::2], fields[1::2], strict=True))
        entries.append(
            TakenEntry(entry.decode(), named, deliveries, cast("TakeOverKind", kind.decode()))
        )
    return TakeOver(entries, [entry.decode() for entry in vanished])


@dataclass(frozen=True, slots=True)
class RetryRule:
    """When an entry that failed is tried again, and how often (all times in s).

    The pause doubles with each try, from `first_pause_s` to `longest_pause_s`; `wish_s` is the
    pause that the server asked for, if it did. After `limit` failures the entry is not tried again
    by itself. While it has been failing for less than `patience_s`, a try is no failure; of those
    that others `shared` at the same moment every third is one.
    """

    limit: int
    first_pause_s: float
    longest_pause_s: float
    wish_s: float | None = None
    patience_s: float = 0
    shared: bool = False

    def to_args(self) -> dict[str, Any]:
        """Return the arguments of `failing.lua`."""
        return {
            "limit": self.limit,
            "first_pause_ms": ms(self.first_pause_s),
            "longest_pause_ms": ms(self.longest_pause_s),
            "wish_ms": -1 if self.wish_s is None else ms(self.wish_s),
            "patience_ms": ms(self.patience_s),
            "shared": self.shared,
        }


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed try was counted. `failures` counts those so far.

    `pause_s`: the entry is deferred for so long; None: the limit is reached, and the entry is still
    this worker's.
    """

    failures: int
    pause_s: float | None


def parse_failed(answer: Sequence[Any]) -> Failed | Settled:
    """Return what `fail_turn` and `fail_utterance` answer."""
    match answer:
        case [b"deferred", failures, pause_ms]:
            return Failed(failures, pause_ms / 1000)
        case [b"limit", failures]:
            return Failed(failures, None)
        case _:
            return Settled(answer[0].decode())
