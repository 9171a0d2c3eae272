"""There is a client for each kind of Redis, and a bad address is one sentence."""

import ssl
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis, RedisCluster, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool

from common.errors import BadSetting
from common.redis.client import connect
from common.redis.client_options import SOCKET_TIMEOUT_S
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
    connection: Any = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
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
