"""Reaching Redis, in each of its shapes, and checking that it can keep the promises.

No client retries: every loop of earshot retries by itself, for ever, with its own backoff, and
knows which command may run twice. Blocking reads stay under the 5 s socket timeout.
"""

import re
from typing import Any, Final

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
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

from common.errors import BadSetting, RedisUnusable
from common.keys import SHARDS
from common.redis import tls
from common.redis.address import CLUSTER, SENTINEL, Address, parse
from common.settings import RedisSettings
from common.settings.masking import mask_password

AnyRedis = Redis | RedisCluster

SOCKET_TIMEOUT_S: Final = 5.0
OLDEST_SERVER: Final = (6, 2)

# Error replies of a server that is failing over, loading, full or cut off from its replicas;
# inside a script's error they stand anywhere in the text.
UNABLE: Final = re.compile(
    r"\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|OOM|UNBLOCKED"
    r"|BUSY Redis)\b"
)

# What redis-py made classes of, without the word in their text; RedisClusterException is no
# RedisError, and says that no node of the cluster could be asked.
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

UNREACHED: Final = (RedisConnectionError, RedisTimeoutError, RedisClusterException, OSError)

HOPELESS: Final = (
    AuthenticationError,
    AuthorizationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    InvalidResponse,
)

# Protected mode, a long command without a password (7.0), commands inside a script that the user
# may not run (before and since 7.2), and one server where a cluster was expected.
FORBIDDEN: Final = re.compile(
    r"^DENIED |unauthenticated|user executing the script can't|ACL failure in script"
    r"|Cluster mode is not enabled"
)

log = structlog.get_logger(__name__)


def connect(settings: RedisSettings) -> AnyRedis:
    """A client that connects on first use; raises BadSetting for an address it cannot read."""
    common: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "protocol": 2,  # one shape of answers, from every server
        "health_check_interval": 0,
    }
    if settings.username:
        common["username"] = settings.username
    if password := settings.password.get_secret_value():
        common["password"] = password
    try:
        address = parse(settings.url)
        secured = tls.options(settings, address)
        if address.scheme in SENTINEL:
            return _sentinel(address, common, secured)
        if address.scheme in CLUSTER:
            return _cluster(address, common, secured)
        no_retry = Retry(NoBackoff(), 0)
        # not from_url, which reads the URL anew, by the rules of the Python that runs
        return Redis(retry=no_retry, **(common | address.of_one_server() | secured))
    except ValueError as error:
        raise BadSetting(
            f"the Redis URL {mask_password(settings.url)!r} is not usable: {error}"
        ) from None


def _sentinel(address: Address, common: dict[str, Any], secured: dict[str, Any]) -> Redis:
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        address.hosts,
        sentinel_kwargs={"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2}
        | secured,
    )
    no_retry = Retry(NoBackoff(), 0)
    master: Redis = sentinel.master_for(
        address.service,
        db=address.database,
        retry=no_retry,
        **(common | address.credentials | secured),
    )
    return master


def _cluster(address: Address, common: dict[str, Any], secured: dict[str, Any]) -> RedisCluster:
    # The cluster client needs a retry to learn the new map after a failover; every command of
    # earshot that it may repeat is idempotent or fenced.
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        retry=Retry(NoBackoff(), 1),
        require_full_coverage=False,
        **(common | address.credentials | secured),
    )


def sentence(error: BaseException, settings: RedisSettings) -> str:
    """What a person should know about a Redis error."""
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
        return tls.sentence(error, url)
    why = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, UNREACHED):
        return f"Redis at {url} cannot be reached ({why}): is it running, and the URL right?"
    return f"Redis at {url} cannot be used: {why}"


def _root(error: BaseException) -> BaseException:
    """What the server said: redis-py wraps it, if it was said while a connection was made."""
    while isinstance(error, (RedisConnectionError, RedisClusterException)):
        if not isinstance(error.__cause__, (RedisError, RedisClusterException)):
            break
        error = error.__cause__
    return error


def is_hopeless(error: BaseException) -> bool:
    """Whether waiting does not help, only a person. Ask it first: some look like `is_away`."""
    error = _root(error)
    if isinstance(error, HOPELESS) or tls.is_refused(error):
        return True
    said = isinstance(error, (ResponseError, RedisClusterException))
    return said and bool(FORBIDDEN.search(str(error)))


def is_away(error: BaseException) -> bool:
    """Whether the server is away, full or failing over: time mends it, so try again."""
    error = _root(error)
    return isinstance(error, AWAY) or (
        isinstance(error, ResponseError) and bool(UNABLE.search(str(error)))
    )


def is_unusable(error: BaseException) -> bool:
    """Whether the server cannot be used now, be it time or a person that mends it."""
    return is_away(error) or is_hopeless(error)


def is_no_group(error: BaseException) -> bool:
    """Whether a consumer group was lost (a flush, a rollback, a fresh server)."""
    return isinstance(error, ResponseError) and "NOGROUP" in str(error)


async def now_ms(redis: AnyRedis) -> int:
    """The server's clock: the only one that all hosts share."""
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def check_server(redis: AnyRedis, settings: RedisSettings, shards: int) -> None:
    """Refuse a server that cannot keep the promises, or that is sharded otherwise.

    Raises RedisUnusable with a sentence; lets the error of a server that is away pass.
    """
    try:
        await _check_info(redis, settings)
        await _check_shards(redis, shards)
    except (RedisError, RedisClusterException) as error:
        if is_away(error) and not is_hopeless(error):
            raise
        raise RedisUnusable(sentence(error, settings)) from None


async def _check_info(redis: AnyRedis, settings: RedisSettings) -> None:
    try:
        info = await _info(redis)
    except NoPermissionError:
        log.warning("redis_not_checked", why="this user may not run INFO")
        return
    version = str(info.get("redis_version", "6.2"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < OLDEST_SERVER:
        raise RedisUnusable(f"Redis {version} is too old: earshot needs 6.2 or newer")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and int(info.get("maxmemory", 0)) > 0:
        raise RedisUnusable(
            f"Redis at {mask_password(settings.url)} evicts keys under memory pressure"
            f" (maxmemory-policy {policy}), which would lose utterances:"
            " set `maxmemory-policy noeviction`"
        )


async def _check_shards(redis: AnyRedis, shards: int) -> None:
    # Read first: a full server answers reads, and its backlog must be able to drain.
    noted = await redis.get(SHARDS)
    if noted is None:
        try:
            await redis.set(SHARDS, shards, nx=True)
        except NoPermissionError:
            return  # a viewer's credentials write nothing: the first producer or worker notes it
        noted = await redis.get(SHARDS)
    if noted is None or noted == str(shards).encode():
        return
    if not noted.isdigit():
        raise RedisUnusable(
            f"the key {SHARDS} holds something else than earshot's number of shards: delete it"
        )
    raise RedisUnusable(
        f"this Redis is used with {int(noted)} shards, and EARSHOT_SHARDS is {shards}:"
        f" set EARSHOT_SHARDS={int(noted)} (changing it wants a drained system and"
        f" `DEL {SHARDS}`)"
    )


async def _info(redis: AnyRedis) -> dict[str, Any]:
    if isinstance(redis, RedisCluster):
        answers = await redis.info(target_nodes=RedisCluster.RANDOM)
        return dict(answers)
    return dict(await redis.info())
