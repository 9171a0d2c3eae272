"""A server that cannot keep the promises is refused at the start with a sentence that says what to
do."""

from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from common.keys import SHARDS
from tests.integration.redis.server_cases import (
    BOTH,
    add_user,
    as_user,
    check,
    configure,
    refusal,
    running_raw_server,
)
from tests.support.redis_server import EXECUTABLES, RedisServer

# -- what is checked at the start


@BOTH
async def test_a_good_server_notes_the_shards_at_first_use(redis_server: RedisServer) -> None:
    await check(3, url=redis_server.url)
    await check(3, url=redis_server.url)
    with redis_server.sync_client() as client:
        assert client.get(SHARDS) == b"3"


@BOTH
async def test_another_number_of_shards_is_refused(redis_server: RedisServer) -> None:
    await check(3, url=redis_server.url)
    said = await refusal(4, url=redis_server.url)
    assert "used with 3 shards, and EARSHOT_SHARDS is 4: set EARSHOT_SHARDS=3" in said


@pytest.mark.parametrize("junk", ["many", "", "-1", "3.0"])
async def test_a_foreign_number_of_shards_is_refused(junk: str, redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.set(SHARDS, junk)
    assert "holds something else than earshot's number of shards" in await refusal(
        url=redis_server.url
    )


async def test_a_foreign_key_of_another_type_is_refused(redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.lpush(SHARDS, "x")
    assert "WRONGTYPE" in await refusal(url=redis_server.url)


@BOTH
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_evicts_is_refused(policy: str, redis_server: RedisServer) -> None:
    configure(redis_server, maxmemory="100mb", maxmemory_policy=policy)
    said = await refusal(url=redis_server.url)
    assert f"(maxmemory-policy {policy})" in said
    assert "set `maxmemory-policy noeviction`" in said
    configure(redis_server, maxmemory_policy="noeviction")
    await check(url=redis_server.url)


async def test_without_a_limit_the_policy_means_nothing(redis_server: RedisServer) -> None:
    configure(redis_server, maxmemory_policy="allkeys-lru")
    await check(url=redis_server.url)


async def test_who_may_not_ask_for_info_is_warned(redis_server: RedisServer) -> None:
    add_user(redis_server, "-info")
    with capture_logs() as logs:
        await check(**as_user(redis_server))
    assert [line["event"] for line in logs] == ["redis_not_checked"]


async def test_a_full_server_is_no_reason_not_to_start(redis_server: RedisServer) -> None:
    """Workers have to start for its backlog to drain."""
    await check(url=redis_server.url)
    configure(redis_server, maxmemory="1mb")
    await check(url=redis_server.url)


# -- credentials


async def test_credentials_from_the_url_and_beside_it(redis_server: RedisServer) -> None:
    add_user(redis_server)
    await check(**as_user(redis_server))
    await check(url=redis_server.url.replace("unix://", "unix://few:p@"))


@BOTH
@pytest.mark.parametrize(
    "settings",
    [{}, {"password": SecretStr("wrong")}, {"username": "few", "password": SecretStr("x")}],
)
async def test_wrong_credentials_are_refused(
    settings: dict[str, Any], redis_server: RedisServer
) -> None:
    configure(redis_server, requirepass="s3cret")
    said = await refusal(url=redis_server.url, **settings)
    assert "refuses the credentials" in said
    assert "EARSHOT_REDIS__PASSWORD" in said


async def test_a_password_where_none_is_set_is_refused(redis_server: RedisServer) -> None:
    said = await refusal(url=redis_server.url, password=SecretStr("wr0ng"))
    assert "refuses the credentials" in said
    assert "wr0ng" not in said


# -- something else


async def test_what_is_not_redis_is_refused() -> None:
    async with running_raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        assert "is not Redis: check EARSHOT_REDIS__URL" in await refusal(url=url)


async def test_protected_mode_is_refused() -> None:
    async with running_raw_server(
        b"-DENIED Redis is running in protected mode because ...\r\n"
    ) as url:
        assert "DENIED Redis is running in protected mode" in await refusal(url=url)


@pytest.mark.parametrize("tcp", [True, False])
async def test_a_database_that_does_not_exist_is_refused(tcp: bool) -> None:
    with RedisServer(tcp=tcp) as server:
        url = server.url.replace("/0", "/99") if tcp else f"{server.url}?db=99"
        assert "DB index is out of range" in await refusal(url=url)


async def test_one_server_is_no_cluster_and_no_sentinel() -> None:
    with RedisServer(tcp=True) as server:
        cluster = server.url.replace("redis://", "redis+cluster://")
        assert "Cluster mode is not enabled" in await refusal(url=cluster)
        sentinel = server.url.replace("redis://", "redis+sentinel://").replace("/0", "/mymaster")
        assert "SENTINEL" in await refusal(url=sentinel)


def test_both_versions_are_tried() -> None:
    assert EXECUTABLES["installed"] != EXECUTABLES["embedded"]
