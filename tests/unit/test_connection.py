"""A client for each kind of Redis, and errors told apart: away, hopeless, or a lost group."""

import ssl
from typing import Any, cast

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis, RedisCluster, SSLConnection
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.connection import (
    SOCKET_TIMEOUT_S,
    check_server,
    connect,
    is_away,
    is_hopeless,
    is_no_group,
    sentence,
)
from common.errors import BadSetting, RedisUnusable
from common.settings import RedisSettings


def _options(**settings: Any) -> dict[str, Any]:
    redis = connect(RedisSettings(**settings))
    assert isinstance(redis, Redis)
    options: dict[str, Any] = redis.connection_pool.connection_kwargs
    return options


def test_one_server_by_tcp() -> None:
    options = _options(url="redis://me:secret@h:7/3")
    assert (options["host"], options["port"], options["db"]) == ("h", 7, 3)
    assert (options["username"], options["password"]) == ("me", "secret")


def test_credentials_may_stand_beside_the_url() -> None:
    options = _options(url="redis://h", username="me", password=SecretStr("secret"))
    assert (options["username"], options["password"]) == ("me", "secret")
    options = _options(url="redis://you:other@h", username="me", password=SecretStr("secret"))
    assert (options["username"], options["password"]) == ("you", "other")


def test_one_server_by_socket() -> None:
    options = _options(url="unix://me:secret@/run/redis.sock?db=2")
    assert (options["path"], options["db"]) == ("/run/redis.sock", 2)
    assert (options["username"], options["password"]) == ("me", "secret")


def test_what_our_own_rules_read_is_not_read_by_others_again() -> None:
    options = _options(url="redis://:a,[b]@[fe80::1%25eth0]:7?client_name=hall&db=3")
    assert (options["host"], options["port"], options["db"]) == ("fe80::1%eth0", 7, 3)
    assert (options["password"], options["client_name"]) == ("a,[b]", "hall")


def test_tls_to_one_server_checks_its_certificate_and_its_name() -> None:
    redis = connect(RedisSettings(url="rediss://h"))
    assert isinstance(redis, Redis)
    pool: Any = redis.connection_pool
    connection = pool.make_connection()
    assert isinstance(connection, SSLConnection)
    assert (connection.cert_reqs, connection.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_sentinel_finds_the_master() -> None:
    redis = connect(RedisSettings(url="redis+sentinel://:p@h1,h2:5/mymaster/2"))
    assert isinstance(redis, Redis)
    pool = redis.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.service_name == "mymaster"
    assert pool.connection_kwargs["db"] == 2
    assert pool.connection_kwargs["password"] == "p"


async def test_cluster_starts_from_any_node() -> None:
    redis = connect(RedisSettings(url="redis+cluster://u:p@h1:1,h2"))
    assert isinstance(redis, RedisCluster)
    assert {node.port for node in redis.nodes_manager.startup_nodes.values()} == {1, 6379}
    assert redis.connection_kwargs["password"] == "p"
    await redis.aclose()


@pytest.mark.parametrize(
    "url",
    ["redis://h", "unix:///s", "redis+sentinel://h/m"],
)
def test_blocking_reads_end_before_the_socket_gives_up_and_nothing_is_retried(url: str) -> None:
    options = _options(url=url)
    assert options["socket_timeout"] == SOCKET_TIMEOUT_S
    assert options["retry"].get_retries() == 0


@pytest.mark.parametrize(
    "url",
    ["http://h", "redis://:secret@h:port", "redis://:sec/ret@h:1", "redis+sentinel://:secret@h"],
)
def test_a_bad_url_is_one_sentence_without_the_password(url: str) -> None:
    with pytest.raises(BadSetting) as refused:
        connect(RedisSettings(url=url))
    said = str(refused.value)
    assert said.startswith("the Redis URL ")
    assert "sec" not in said
    assert "\n" not in said


class Old:
    """What a server of some version says about itself."""

    def __init__(self, version: str) -> None:
        self._version = version

    async def info(self) -> dict[str, Any]:
        return {"redis_version": self._version}

    async def get(self, _: str) -> bytes:
        return b"1"


@pytest.mark.parametrize("version", ["2.8.24", "5.0.14", "6.0.16"])
async def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(RedisUnusable, match=f"Redis {version} is too old: .* 6.2 or newer"):
        await check_server(cast("Redis", Old(version)), RedisSettings(), 1)


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.2.1", "10.0.0", "7.2.4-rc1", "unstable"])
async def test_a_newer_one_is_not(version: str) -> None:
    await check_server(cast("Redis", Old(version)), RedisSettings(), 1)


def _cluster_error(text: str, cause: Exception | None = None) -> RedisClusterException:
    error = RedisClusterException(text)
    error.__cause__ = cause
    return error


AWAY: list[BaseException] = [
    RedisConnectionError("refused"),
    RedisTimeoutError("slow"),
    BusyLoadingError("loading"),
    ReadOnlyError("You can't write against a read only replica."),
    OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    ClusterDownError("The cluster is down"),
    TryAgainError("during resharding"),
    MasterNotFoundError("No master found"),
    _cluster_error("Redis Cluster cannot be connected", RedisConnectionError("refused")),
    ConnectionResetError("by peer"),
    TimeoutError(),
    ResponseError("NOREPLICAS Not enough good replicas to write."),
    ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    ResponseError("BUSY Redis is busy running a script."),
    ResponseError("UNBLOCKED force unblock from blocking operation"),
    ResponseError("Error running script (call to f_1): @user_script:3: -OOM command not allowed"),
]
HOPELESS: list[BaseException] = [
    AuthenticationError("invalid username-password pair"),
    NoPermissionError("this user has no permissions"),
    InvalidResponse("Protocol Error: b'HTTP/1.1 400'"),
    ResponseError("DENIED Redis is running in protected mode"),
    ResponseError("Protocol error: unauthenticated multibulk length"),
    ResponseError("The user executing the script can't run this command or subcommand"),
    ResponseError("ACL failure in script: User u has no permissions to run the 'xadd' command"),
    _cluster_error("Cluster mode is not enabled on this node"),
    _cluster_error("Redis Cluster cannot be connected", AuthenticationError("wrong")),
]
NEITHER: list[BaseException] = [
    ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    ResponseError("NOGROUP No such key 'x' or consumer group 'stt'"),
    ResponseError("Error running script: attempt to index a nil value"),
    MovedError("8559 127.0.0.1:7001"),
    ValueError("a bug"),
    KeyError("a bug"),
]


def _id(error: BaseException) -> str:
    return f"{type(error).__name__}-{error}"[:50]


@pytest.mark.parametrize("error", AWAY, ids=_id)
def test_time_mends_a_server_that_is_away(error: BaseException) -> None:
    assert is_away(error)
    assert not is_hopeless(error)
    assert not is_no_group(error)


@pytest.mark.parametrize("error", HOPELESS, ids=_id)
def test_only_a_person_mends_what_is_hopeless(error: BaseException) -> None:
    assert is_hopeless(error)
    assert not is_no_group(error)


@pytest.mark.parametrize("error", NEITHER, ids=_id)
def test_anything_else_is_not_waited_for(error: BaseException) -> None:
    assert not is_away(error)
    assert not is_hopeless(error)
    assert is_no_group(error) == ("NOGROUP" in str(error))


@pytest.mark.parametrize("error", [*AWAY, *HOPELESS, *NEITHER], ids=_id)
def test_every_error_has_one_sentence_without_the_password(error: BaseException) -> None:
    said = sentence(error, RedisSettings(url="redis://me:hunter2@h:1/0"))
    assert "redis://me:********@h:1/0" in said
    assert "hunter2" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AuthenticationError("WRONGPASS"), "EARSHOT_REDIS__PASSWORD"),
        (NoPermissionError("no permissions"), "does not permit"),
        (OutOfMemoryError("full"), "maxmemory"),
        (InvalidResponse("HTTP"), "is not Redis"),
        (MovedError("1 h:2"), r"redis+cluster://"),
        (MasterNotFoundError("<Redis(<insides>)>"), "no Sentinel"),
        (RedisConnectionError("refused"), "is it running"),
        (RedisTimeoutError(), "TimeoutError"),
    ],
)
def test_the_sentence_says_what_to_do(error: BaseException, said: str) -> None:
    told = sentence(error, RedisSettings())
    assert said in told
    assert "insides" not in told
