"""Reaching Redis, in each of its shapes, and checking that it can keep the promises.

No client retries: every loop of earshot retries by itself, for ever, with its own backoff, and
knows which command may run twice. Blocking reads stay under the 5 s socket timeout.
"""

import re
import ssl
from typing import Any, Final
from urllib.parse import unquote, urlsplit

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

from common.configuration import mask_password
from common.errors import BadSetting, RedisUnusable
from common.keys import SHARDS
from common.settings import RedisSettings

AnyRedis = Redis | RedisCluster

SOCKET_TIMEOUT_S: Final = 5.0
OLDEST_SERVER: Final = (6, 2)
SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")

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

HOPELESS: Final = (
    AuthenticationError,
    AuthorizationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    InvalidResponse,
)

# Protected mode, a long command without a password (7.0), and commands inside a script that the
# user may not run (before and since 7.2).
FORBIDDEN: Final = re.compile(
    r"^DENIED |unauthenticated|user executing the script can't run|ACL failure in script"
)
NO_CLUSTER: Final = "Cluster mode is not enabled"

log = structlog.get_logger(__name__)


def connect(settings: RedisSettings) -> AnyRedis:
    """A client that connects on first use; raises BadSetting for an address it cannot read."""
    scheme = settings.url.partition("://")[0]
    if scheme not in SCHEMES:
        raise BadSetting(
            f"the Redis URL {mask_password(settings.url)!r} is not usable: it starts with one of "
            + ", ".join(f"{known}://" for known in SCHEMES)
        )
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
        if scheme == "redis+sentinel":
            return _sentinel(settings, common)
        if scheme == "redis+cluster":
            return _cluster(settings, common)
        if scheme != "unix":
            _check_one_server(settings.url)
        no_retry = Retry(NoBackoff(), 0)
        tls = _tls(settings) if scheme == "rediss" else {}
        return Redis.from_url(settings.url, retry=no_retry, **common, **tls)
    except ValueError as error:
        raise BadSetting(
            f"the Redis URL {mask_password(settings.url)!r} is not usable: {error}"
        ) from None


def _tls(settings: RedisSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if settings.ca_file:
        options["ssl_ca_certs"] = settings.ca_file
    if settings.cert_file:
        options |= {"ssl_certfile": settings.cert_file, "ssl_keyfile": settings.key_file or None}
    return options


def _check_one_server(url: str) -> None:
    """What redis-py would take for database 0, or complain about with the password's text."""
    hosts, _, path = _hosts(url, 6_379)
    if len(hosts) > 1:
        raise ValueError("several hosts want redis+sentinel:// or redis+cluster://")
    if len(path) > 1:
        raise ValueError("behind the host stands the number of a database, such as /0")
    _database(path)


def _hosts(url: str, default_port: int) -> tuple[list[tuple[str, int]], dict[str, str], list[str]]:
    """(host, port) pairs, credentials, and the parts of the path."""
    parts = urlsplit(url)
    credentials_text, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials_text.partition(":")
    credentials = {
        name: unquote(value)
        for name, value in (("username", user), ("password", password))
        if value
    }
    pairs = [_host_and_port(host, default_port) for host in hosts.split(",")]
    return pairs, credentials, [part for part in parts.path.split("/") if part]


def _host_and_port(text: str, default_port: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::(.*))?", text)
    if match is None:
        raise ValueError("a host is missing")
    port = match[2] or str(default_port)
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ValueError(
            "a port is not a number below 65536 (is there a / # ? or @ in the password? write it"
            " as %2F %23 %3F %40)"
        )
    return match[1].strip("[]"), int(port)


def _database(path: list[str]) -> int:
    number = path[0] if path else "0"
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise ValueError("the database is not a number")
    return int(number)


def _sentinel(settings: RedisSettings, common: dict[str, Any]) -> Redis:
    hosts, credentials, path = _hosts(settings.url, 26_379)
    if not path:
        raise ValueError("the service is missing: redis+sentinel://h1,h2/SERVICE/DB")
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        hosts,
        sentinel_kwargs={"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2},
    )
    no_retry = Retry(NoBackoff(), 0)
    master: Redis = sentinel.master_for(
        path[0],
        db=_database(path[1:]),
        retry=no_retry,
        **(common | credentials),
    )
    return master


def _cluster(settings: RedisSettings, common: dict[str, Any]) -> RedisCluster:
    hosts, credentials, _ = _hosts(settings.url, 6_379)
    # The cluster client needs a retry to learn the new map after a failover; every command of
    # earshot that it may repeat is idempotent or fenced.
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in hosts],
        retry=Retry(NoBackoff(), 1),
        require_full_coverage=False,
        **(common | credentials),
    )


def sentence(error: BaseException, settings: RedisSettings) -> str:
    """What a person should know about a Redis error."""
    url = mask_password(settings.url)
    if isinstance(error, RedisClusterException) and error.__cause__ is not None:
        error = error.__cause__
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
    return f"Redis at {url} cannot be used: {error or type(error).__name__}"


def is_hopeless(error: BaseException) -> bool:
    """Whether waiting does not help, only a person. Ask it first: some look like `is_away`."""
    if isinstance(error, HOPELESS):
        return True
    if isinstance(error, RedisClusterException):
        cause = error.__cause__
        return NO_CLUSTER in str(error) or (cause is not None and is_hopeless(cause))
    return isinstance(error, ResponseError) and bool(FORBIDDEN.search(str(error)))


def is_away(error: BaseException) -> bool:
    """Whether the server is away, full or failing over: time mends it, so try again."""
    return isinstance(error, AWAY) or (
        isinstance(error, ResponseError) and bool(UNABLE.search(str(error)))
    )


def is_no_group(error: BaseException) -> bool:
    """Whether a consumer group was lost (a flush, a rollback, a fresh server)."""
    return isinstance(error, ResponseError) and "NOGROUP" in str(error)


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
    if numbers < OLDEST_SERVER:
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
        await redis.set(SHARDS, shards, nx=True)
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
