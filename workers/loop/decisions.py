"""What an error of the handler means for the entry in hand: pure decisions.

`delivery_runner.py` carries them out.
"""

from dataclasses import dataclass
from typing import TypeAlias

from redis.exceptions import RedisClusterException, RedisError

from common.errors import BadEntry, BadInput, Lost, NewerSchema, Permanent, Refused, Transient
from common.redis.failures import is_unusable
from workers.loop.metrics import BurialReason


@dataclass(frozen=True, slots=True)
class LetGo:
    """Another worker has the entry: change nothing."""

    why: str


@dataclass(frozen=True, slots=True)
class Bury:
    """The entry can never succeed, or failed too often."""

    reason: BurialReason
    error: str


@dataclass(frozen=True, slots=True)
class HandBack:
    """The server is unusable for everybody: open the breaker, and hand the entry back uncounted."""

    why: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Only this request failed: keep the entry, and try again without counting a delivery.

    `wish_s` is how long the server wants to be left alone, if it told.
    """

    why: str
    wish_s: float | None


@dataclass(frozen=True, slots=True)
class AwaitRedis:
    """Redis is away: keep the entry, and try again when it is back."""


@dataclass(frozen=True, slots=True)
class Redeliver:
    """A failure without a known cause: count another delivery, and try again."""


Decision: TypeAlias = LetGo | Bury | HandBack | TryAgain | AwaitRedis | Redeliver


def decide(error: Exception, number: int, max_deliveries: int) -> Decision:
    """Return what becomes of an entry whose delivery `number` ended in `error`."""
    match error:
        case Lost():
            return LetGo(str(error))
        case Permanent() | BadEntry() | BadInput() | Refused():
            return Bury(_burial_reason(error), str(error))
        case Transient(opens_breaker=True):
            return HandBack(str(error))
        case Transient():
            return TryAgain(str(error), error.retry_after)
        # an OSError of the handler's own is no sign of Redis
        case RedisError() | RedisClusterException() if is_unusable(error):
            return AwaitRedis()
        case _ if number >= max_deliveries:
            return Bury("failed", f"{type(error).__name__}: {error}")
        case _:
            return Redeliver()


def is_unexplained(decision: Decision) -> bool:
    """Return whether the error behind a decision has no known cause: probably a bug."""
    return isinstance(decision, Redeliver) or (
        isinstance(decision, Bury) and decision.reason == "failed"
    )


def _burial_reason(error: Permanent | BadEntry | BadInput | Refused) -> BurialReason:
    match error:
        case Permanent():
            return "permanent"
        case Refused():
            return "refused"
        case NewerSchema():
            return "newer_schema"
        case BadInput():
            return "bad_audio"
        case _:
            return "bad_entry"
