"""Errors of real servers, of both versions, are told apart: a server that is away is waited for,
and one that refuses for good is not."""

from typing import Any

import pytest
from redis.asyncio import Redis

from common.keys import STT_GROUP, Shard
from common.redis.failures import is_away, is_hopeless, is_no_group
from common.redis.store import Store
from common.settings import LimitSettings
from common.transitions.publishing import Verdict, publish
from tests.integration.redis.server_cases import (
    BOTH,
    UTTERANCE,
    add_user,
    as_user,
    check,
    configure,
    failure,
    running_client,
    running_raw_server,
)
from tests.support.redis_server import RedisServer

# -- credentials


@BOTH
async def test_a_password_that_came_later_is_hopeless(redis_server: RedisServer) -> None:
    configure(redis_server, requirepass="s3cret")
    for command in ("publish", "PING"):
        assert is_hopeless(await failure(command, url=redis_server.url))


@BOTH
@pytest.mark.parametrize("rule", ["-evalsha", "-xadd", "-@stream", "resetkeys"])
async def test_what_a_user_may_not_do_is_hopeless(rule: str, redis_server: RedisServer) -> None:
    add_user(redis_server, rule)
    error = await failure("publish", **as_user(redis_server))
    assert is_hopeless(error)
    assert not is_away(error)


# -- away


@BOTH
async def test_a_full_server_is_waited_for(redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.set("ballast", b"x" * 3_000_000)
    configure(redis_server, maxmemory="2mb")
    error = await failure("publish", url=redis_server.url)
    assert is_away(error)
    assert not is_hopeless(error)
    with redis_server.sync_client() as client:
        client.delete("ballast")
    configure(redis_server, maxmemory="0")
    async with running_client(url=redis_server.url) as (redis, _):
        store = Store(redis, 1, LimitSettings())
        assert (await publish(store, UTTERANCE)).verdict is Verdict.ACCEPTED


@BOTH
async def test_a_replica_is_waited_for_until_it_is_the_master(redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
    for command in (("publish",), ("SET", "k", "v")):
        error = await failure(*command, url=redis_server.url)
        assert is_away(error)
        assert not is_hopeless(error)
    configure(redis_server, replica_serve_stale_data="no")
    assert is_away(await failure("publish", url=redis_server.url))
    with pytest.raises(Exception, match="MASTER") as failed:
        await check(url=redis_server.url)
    assert is_away(failed.value)


@BOTH
async def test_a_master_without_its_replicas_is_waited_for(redis_server: RedisServer) -> None:
    configure(redis_server, min_replicas_to_write="1")
    assert is_away(await failure("publish", url=redis_server.url))


@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster", "unix"])
async def test_a_server_that_is_not_there_is_waited_for(scheme: str) -> None:
    where = "/nowhere/redis.sock" if scheme == "unix" else "127.0.0.1:1"
    url = f"{scheme}://{where}" + ("/mymaster" if scheme == "redis+sentinel" else "")
    with pytest.raises(Exception, match=r".") as failed:
        await check(url=url)
    assert is_away(failed.value)
    assert not is_hopeless(failed.value)


async def test_a_server_that_loads_its_data_is_waited_for() -> None:
    async with running_raw_server(b"-LOADING Redis is loading the dataset in memory\r\n") as url:
        assert is_away(await failure("PING", url=url))


# -- something else


@BOTH
async def test_a_lost_group_is_known_by_its_error(redis_server: RedisServer) -> None:
    async with redis_server.client() as client:
        await client.xadd(Shard(0).utterances, {"v": "1"})
        for stream in (Shard(0).utterances, "nothing"):
            with pytest.raises(Exception, match="NOGROUP") as failed:
                await _read_group(client, stream)
            assert is_no_group(failed.value)
            assert not is_away(failed.value)


async def _read_group(client: Redis, stream: str) -> Any:
    return await client.xreadgroup(STT_GROUP, "c", {stream: ">"})
