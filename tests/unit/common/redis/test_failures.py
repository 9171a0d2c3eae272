"""Errors of Redis are told apart: away, hopeless, or a lost group; each has a sentence."""

import pytest
from redis.asyncio.sentinel import MasterNotFoundError
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

from common.redis.failures import explain_failure, is_away, is_hopeless, is_no_group
from common.settings import RedisSettings


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
    assert not is_away(error), "waiting would not help"
    assert not is_no_group(error)


@pytest.mark.parametrize("error", NEITHER, ids=_id)
def test_anything_else_is_not_waited_for(error: BaseException) -> None:
    assert not is_away(error)
    assert not is_hopeless(error)
    assert is_no_group(error) == ("NOGROUP" in str(error))


@pytest.mark.parametrize("error", [*AWAY, *HOPELESS, *NEITHER], ids=_id)
def test_every_error_has_one_sentence_without_the_password(error: BaseException) -> None:
    said = explain_failure(error, RedisSettings(url="redis://me:hunter2@h:1/0"))
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
    told = explain_failure(error, RedisSettings())
    assert said in told
    assert "insides" not in told
