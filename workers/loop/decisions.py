"""What an error of the handler means for the entry in hand: pure decisions.

`delivery_runner.py` carries them out.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from redis.exceptions import RedisClusterException, RedisError

from common.errors import (
    BadEntry,
    BadInput,
    Busy,
    Lost,
    Misconfigured,
    NewerSchema,
    Permanent,
    Refused,
    Transient,
)
from common.redis.failures import is_unusable
from workers.loop.metrics import BurialReason

BUSY_PATIENCE_S: Final = 600.0
"""So long a request may be turned away by a busy server before that counts as a failure."""

ENDLESS_S: Final = 1e9
"""Nothing is buried because of a wrong setting: about 30 years."""


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
class Fail:
    """This try failed, and a later one may succeed: count it, and let the entry go until then.

    `wish_s` is how long the server wants to be left alone, if it told. `blames_server`: the error
    cannot be about the request. `patience_s`: while the entry has been failing for less than this,
    its failures are not counted. `broke_off`: what broke the server may have been another request.
    `is_unexplained`: the error has no known cause and is probably a bug.
    """

    why: str
    wish_s: float | None = None
    blames_server: bool = False
    patience_s: float = 0
    broke_off: bool = False
    is_unexplained: bool = False


@dataclass(frozen=True, slots=True)
class AwaitRedis:
    """Redis is away: keep the entry, and try again when it is back."""


Decision: TypeAlias = LetGo | Bury | Fail | AwaitRedis


def decide(error: Exception) -> Decision:
    """Return what becomes of an entry after a try that ended in `error`."""
    match error:
        case Lost():
            return LetGo(str(error))
        case Permanent() | BadEntry() | BadInput() | Refused():
            return Bury(_burial_reason(error), str(error))
        case Transient():
            return Fail(
                str(error),
                wish_s=error.retry_after,
                blames_server=error.opens_breaker,
                patience_s=_patience_s(error),
                broke_off=error.broke_off,
            )
        # an OSError of the handler's own is no sign of Redis
        case RedisError() | RedisClusterException() if is_unusable(error):
            return AwaitRedis()
        case _:
            return Fail(f"{type(error).__name__}: {error}", is_unexplained=True)


def _patience_s(error: Transient) -> float:
    match error:
        case Misconfigured():
            return ENDLESS_S
        case Busy():
            return BUSY_PATIENCE_S
        case _:
            return 0


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
