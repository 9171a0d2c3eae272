"""What an error of Redis means: wait, call a person, or neither."""

import re
from typing import Final

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    ClusterError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.redis import tls
from common.settings import RedisSettings
from common.settings.masking import mask_password

UNABLE: Final = re.compile(
    r"\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|OOM|UNBLOCKED"
    r"|BUSY Redis)\b"
)
"""Error replies of a server that is failing over, loading, full or cut off from its replicas.

In the error of a script the word may stand anywhere in the text."""

AWAY: Final = (
    RedisConnectionError,
    RedisTimeoutError,
    ClusterError,
    RedisClusterException,
    TryAgainError,
    OutOfMemoryError,
    ReadOnlyError,
    OSError,
)
"""The same as classes of redis-py, whose text lacks the word.

A RedisClusterException means that no node of the cluster answered. It is no RedisError."""

UNREACHED: Final = (RedisConnectionError, RedisTimeoutError, RedisClusterException, OSError)

HOPELESS: Final = (
    AuthenticationError,
    AuthorizationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    InvalidResponse,
)

FORBIDDEN: Final = re.compile(
    r"^DENIED |unauthenticated|user executing the script can't|ACL failure in script"
    r"|Cluster mode is not enabled"
)
"""Protected mode; a long command without a password (7.0); a command inside a script that the user
may not run (before and since 7.2); one server where a cluster was expected."""


def explain_failure(error: BaseException, settings: RedisSettings) -> str:
    """Explain a Redis error to a person, in one sentence."""
    url, error = mask_password(settings.url), _root(error)
    if isinstance(error, MovedError):
        return f"Redis at {url} is part of a cluster: EARSHOT_REDIS__URL takes redis+cluster://"
    if isinstance(error, MasterNotFoundError):  # whose own text shows redis-py's insides
        return f"no Sentinel of {url} can be reached and names a master that answers"
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return (
            f"Redis at {url} refuses the credentials ({error}): check EARSHOT_REDIS__URL,"
            " EARSHOT_REDIS__USERNAME and EARSHOT_REDIS__PASSWORD"
        )
    if isinstance(error, InvalidResponse):
        return f"what answers at {url} is not Redis: check EARSHOT_REDIS__URL"
    if isinstance(error, NoPermissionError) or "executing the script" in str(error):
        return f"Redis at {url} does not permit what this role needs: {error}"
    if isinstance(error, OutOfMemoryError):
        return f"Redis at {url} is out of memory: raise `maxmemory`, or let the backlog drain"
    if tls.is_refused(error):
        return tls.explain_refusal(error, url)
    why = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, UNREACHED):
        return f"Redis at {url} cannot be reached ({why}): is it running, and the URL right?"
    return f"Redis at {url} cannot be used: {why}"


def _root(error: BaseException) -> BaseException:
    """Return the server's own error, which redis-py wraps while it makes a connection."""
    while isinstance(error, (RedisConnectionError, RedisClusterException)):
        if not isinstance(error.__cause__, (RedisError, RedisClusterException)):
            break
        error = error.__cause__
    return error


def is_hopeless(error: BaseException) -> bool:
    """Return whether only a person can help."""
    error = _root(error)
    if isinstance(error, HOPELESS) or tls.is_refused(error):
        return True
    said = isinstance(error, (ResponseError, RedisClusterException))
    return said and bool(FORBIDDEN.search(str(error)))


def is_away(error: BaseException) -> bool:
    """Return whether waiting helps: the server is away, full or failing over."""
    if is_hopeless(error):  # such as a refused password, which redis-py takes for a lost connection
        return False
    error = _root(error)
    return isinstance(error, AWAY) or (
        isinstance(error, ResponseError) and bool(UNABLE.search(str(error)))
    )


def is_unusable(error: BaseException) -> bool:
    """Return whether the server cannot be used now, for whatever reason."""
    return is_away(error) or is_hopeless(error)


def is_no_group(error: BaseException) -> bool:
    """Return whether a consumer group was lost (a flush, a rollback, a fresh server)."""
    return isinstance(error, ResponseError) and "NOGROUP" in str(error)
