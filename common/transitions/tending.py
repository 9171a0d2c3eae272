"""The transitions of upkeep, which need no claim: due, tend, set_aside, trim and forget."""

from dataclasses import dataclass
from typing import Final

from common.errors import Refused
from common.keys import Shard
from common.redis.script import Script
from common.redis.store import Store, ms
from common.transitions.letter_limits import (
    limits_on_letters,
    report_dropped,
    report_dropped_letters,
)

DUE: Final = Script("due")
TEND: Final = Script("tend")
SET_ASIDE: Final = Script("set_aside")
TRIM: Final = Script("trim")
FORGET: Final = Script("forget")

LONGEST_REASON: Final = 500
"""Characters of a reason that are kept."""

LATER_S: Final = 3_600.0
"""When a session that cannot be tended is due again, if the quarantine cannot be written (s)."""


FAR_OFF_S: Final = 120.0
"""A session is due after `tend_after_s`. Another host may have a larger setting, but no script
writes a time that is both this far off (s) and `FAR_OFF_TIMES` as far off."""

FAR_OFF_TIMES: Final = 4


async def due_sessions(store: Store, shard: Shard, limit: int) -> list[str]:
    """Return sessions with unfinished turns that nobody has touched for `tend_after_s`.

    What is no UTF-8 has escapes (`surrogateescape`).
    """
    far_off_s = max(FAR_OFF_S, FAR_OFF_TIMES * store.limits.tend_after_s)
    answer = await DUE(store.redis, {"open": shard.open}, most=limit, far_off_ms=ms(far_off_s))
    return [name.decode("utf-8", "surrogateescape") for name in answer]


async def tend(store: Store, session: str) -> list[str]:
    """Repair one session; return what was done: `expired`, `lost`, `woken`, `released`.

    Raises Refused if the session cannot be read. `released`: it had been set aside.
    """
    shard = store.shard(session)
    answer = await store.run(
        TEND,
        session,
        turn_timeout_ms=ms(store.limits.turn_timeout_s),
        keys={
            "utterances": shard.utterances,
            "recordings": shard.recordings,
            "quarantine": shard.quarantine,
        },
    )
    return [name.decode() for name in answer]


async def set_aside(store: Store, shard: Shard, session: str, reason: str) -> bool:
    """Take a session that cannot be tended out of those that are due, and keep the reason.

    With an empty `reason` nothing is kept: it is no session of this shard. `session` may be any
    member of `open`, as `due_sessions` returns it. Return whether the reason is new.
    """
    answer = await SET_ASIDE(
        store.redis,
        {"open": shard.open, "quarantine": shard.quarantine},
        session=session.encode("utf-8", "surrogateescape"),
        reason=reason[:LONGEST_REASON],
        keep=bool(reason),
        later_ms=ms(LATER_S),
    )
    return bool(answer)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How many entries were deleted because there were too many, not because they were old.

    `dead_by_bytes`: dead letters that went because of their bytes. `uncounted`: there are dead
    letters that `count_letters` must count. `foreign`: a sentence about a key that could not be
    trimmed, or empty.
    """

    results: int
    deltas: int
    dead: int
    dead_by_bytes: int = 0
    uncounted: bool = False
    foreign: str = ""


async def trim(store: Store, shard: Shard) -> Trimmed:
    """Apply the limits on age, count and bytes to what is kept for readers."""
    limits = store.limits
    answer = await TRIM(
        store.redis,
        {"results": shard.results, "deltas": shard.deltas, **shard.letters},
        results_age_ms=ms(limits.results_age_s),
        results_max=limits.results_max,
        deltas_age_ms=ms(limits.deltas_age_s),
        deltas_max=limits.deltas_max,
        dead_age_ms=ms(limits.dead_age_s),
        **limits_on_letters(store),
    )
    results, deltas, dead, dead_by_bytes, uncounted, foreign = answer
    return Trimmed(
        int(results), int(deltas), int(dead), int(dead_by_bytes), bool(uncounted), foreign.decode()
    )


def report_trimmed(trimmed: Trimmed) -> None:
    """Log what the limits on counts and bytes dropped, with the setting that raises the limit.

    Raises Refused after that if a key could not be trimmed.
    """
    report_dropped("results", trimmed.results, "results_max")
    report_dropped("deltas", trimmed.deltas, "deltas_max")
    report_dropped_letters(trimmed.dead, trimmed.dead_by_bytes)
    if trimmed.foreign:
        raise Refused(trimmed.foreign)


async def forget(store: Store, session: str) -> int:
    """Delete a conversation; return how many unfinished turns ended as `skipped: forgotten`."""
    shard = store.shard(session)
    answer = await store.run(
        FORGET, session, keys={"utterances": shard.utterances, "recordings": shard.recordings}
    )
    return int(answer[0])
