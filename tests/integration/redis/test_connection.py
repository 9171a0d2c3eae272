"""A server that cannot keep the promises is refused with a sentence; one that is away is waited
for; and real servers, of both versions, are told apart by what they really answer."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from structlog.testing import capture_logs

from common.errors import RedisUnusable
from common.keys import SHARDS, STT_GROUP, Shard
from common.redis.client import AnyRedis, connect
from common.redis.failures import is_away, is_hopeless, is_no_group
from common.redis.server import check_server
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from tests.support.redis_server import EXECUTABLES, RedisServer

BOTH = pytest.mark.parametrize("redis_server", ["installed", "embedded"], indirect=True)
UTTERANCE = Utterance(id="u1", session="s1", audio=b"x" * 10, samples=5)


@asynccontextmanager
async def _client(**settings: Any) -> AsyncIterator[tuple[AnyRedis, RedisSettings]]:
    chosen = RedisSettings(**settings)
    redis = connect(chosen)
    try:
        yield redis, chosen
    finally:
        await redis.aclose()


async def _check(shards: int = 1, **settings: Any) -> None:
    async with _client(**settings) as (redis, chosen):
        await check_server(redis, chosen, shards)


async def _refusal(shards: int = 1, **settings: Any) -> str:
    with pytest.raises(RedisUnusable) as refused:
        await _check(shards, **settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def _failure(command: str, *arguments: Any, **settings: Any) -> Exception:
    """What the server answers to a command, as an exception."""
    async with _client(**settings) as (redis, _):

        async def asked() -> None:
            if command == "publish":
                await publish(Store(redis, 1, LimitSettings()), UTTERANCE)
            else:
                await redis.execute_command(command, *arguments)

        with pytest.raises(Exception, match=r".") as failed:
            await asked()
    error: Exception = failed.value
    return error


def _configure(server: RedisServer, **options: str) -> None:
    with server.sync_client() as client:
        for name, value in options.items():
            client.config_set(name.replace("_", "-"), value)


def _user(server: RedisServer, *rules: str) -> None:
    with server.sync_client() as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">p", "~*", "+@all", *rules)


def _as_user(server: RedisServer) -> dict[str, Any]:
    return {"url": server.url, "username": "few", "password": SecretStr("p")}


# -- what is checked at the start


@BOTH
async def test_a_good_server_notes_the_shards_at_first_use(redis_server: RedisServer) -> None:
    await _check(3, url=redis_server.url)
    await _check(3, url=redis_server.url)
    with redis_server.sync_client() as client:
        assert client.get(SHARDS) == b"3"


@BOTH
async def test_another_number_of_shards_is_refused(redis_server: RedisServer) -> None:
    await _check(3, url=redis_server.url)
    said = await _refusal(4, url=redis_server.url)
    assert "used with 3 shards, and EARSHOT_SHARDS is 4: set EARSHOT_SHARDS=3" in said


@pytest.mark.parametrize("junk", ["many", "", "-1", "3.0"])
async def test_a_foreign_number_of_shards_is_refused(junk: str, redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.set(SHARDS, junk)
    assert "holds something else than earshot's number of shards" in await _refusal(
        url=redis_server.url
    )


async def test_a_foreign_key_of_another_type_is_refused(redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.lpush(SHARDS, "x")
    assert "WRONGTYPE" in await _refusal(url=redis_server.url)


@BOTH
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_evicts_is_refused(policy: str, redis_server: RedisServer) -> None:
    _configure(redis_server, maxmemory="100mb", maxmemory_policy=policy)
    said = await _refusal(url=redis_server.url)
    assert f"(maxmemory-policy {policy})" in said
    assert "set `maxmemory-policy noeviction`" in said
    _configure(redis_server, maxmemory_policy="noeviction")
    await _check(url=redis_server.url)


async def test_without_a_limit_the_policy_means_nothing(redis_server: RedisServer) -> None:
    _configure(redis_server, maxmemory_policy="allkeys-lru")
    await _check(url=redis_server.url)


async def test_who_may_not_ask_for_info_is_warned(redis_server: RedisServer) -> None:
    _user(redis_server, "-info")
    with capture_logs() as logs:
        await _check(**_as_user(redis_server))
    assert [line["event"] for line in logs] == ["redis_not_checked"]


async def test_a_full_server_is_no_reason_not_to_start(redis_server: RedisServer) -> None:
    """Workers have to start for its backlog to drain."""
    await _check(url=redis_server.url)
    _configure(redis_server, maxmemory="1mb")
    await _check(url=redis_server.url)


# -- credentials


async def test_credentials_from_the_url_and_beside_it(redis_server: RedisServer) -> None:
    _user(redis_server)
    await _check(**_as_user(redis_server))
    await _check(url=redis_server.url.replace("unix://", "unix://few:p@"))


@BOTH
@pytest.mark.parametrize(
    "settings",
    [{}, {"password": SecretStr("wrong")}, {"username": "few", "password": SecretStr("x")}],
)
async def test_wrong_credentials_are_refused(
    settings: dict[str, Any], redis_server: RedisServer
) -> None:
    _configure(redis_server, requirepass="s3cret")
    said = await _refusal(url=redis_server.url, **settings)
    assert "refuses the credentials" in said
    assert "EARSHOT_REDIS__PASSWORD" in said


async def test_a_password_where_none_is_set_is_refused(redis_server: RedisServer) -> None:
    said = await _refusal(url=redis_server.url, password=SecretStr("wr0ng"))
    assert "refuses the credentials" in said
    assert "wr0ng" not in said


@BOTH
async def test_a_password_that_came_later_is_hopeless(redis_server: RedisServer) -> None:
    _configure(redis_server, requirepass="s3cret")
    for command in ("publish", "PING"):
        assert is_hopeless(await _failure(command, url=redis_server.url))


@BOTH
@pytest.mark.parametrize("rule", ["-evalsha", "-xadd", "-@stream", "resetkeys"])
async def test_what_a_user_may_not_do_is_hopeless(rule: str, redis_server: RedisServer) -> None:
    _user(redis_server, rule)
    error = await _failure("publish", **_as_user(redis_server))
    assert is_hopeless(error)
    assert not is_away(error)


# -- away


@BOTH
async def test_a_full_server_is_waited_for(redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.set("ballast", b"x" * 3_000_000)
    _configure(redis_server, maxmemory="2mb")
    error = await _failure("publish", url=redis_server.url)
    assert is_away(error)
    assert not is_hopeless(error)
    with redis_server.sync_client() as client:
        client.delete("ballast")
    _configure(redis_server, maxmemory="0")
    async with _client(url=redis_server.url) as (redis, _):
        store = Store(redis, 1, LimitSettings())
        assert (await publish(store, UTTERANCE)).verdict is Verdict.ACCEPTED


@BOTH
async def test_a_replica_is_waited_for_until_it_is_the_master(redis_server: RedisServer) -> None:
    with redis_server.sync_client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
    for command in (("publish",), ("SET", "k", "v")):
        error = await _failure(*command, url=redis_server.url)
        assert is_away(error)
        assert not is_hopeless(error)
    _configure(redis_server, replica_serve_stale_data="no")
    assert is_away(await _failure("publish", url=redis_server.url))
    with pytest.raises(Exception, match="MASTER") as failed:
        await _check(url=redis_server.url)
    assert is_away(failed.value)


@BOTH
async def test_a_master_without_its_replicas_is_waited_for(redis_server: RedisServer) -> None:
    _configure(redis_server, min_replicas_to_write="1")
    assert is_away(await _failure("publish", url=redis_server.url))


@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster", "unix"])
async def test_a_server_that_is_not_there_is_waited_for(scheme: str) -> None:
    where = "/nowhere/redis.sock" if scheme == "unix" else "127.0.0.1:1"
    url = f"{scheme}://{where}" + ("/mymaster" if scheme == "redis+sentinel" else "")
    with pytest.raises(Exception, match=r".") as failed:
        await _check(url=url)
    assert is_away(failed.value)
    assert not is_hopeless(failed.value)


async def test_a_server_that_loads_its_data_is_waited_for() -> None:
    async with _answering(b"-LOADING Redis is loading the dataset in memory\r\n") as url:
        assert is_away(await _failure("PING", url=url))


# -- something else


@asynccontextmanager
async def _answering(answer: bytes) -> AsyncIterator[str]:
    """A server that answers every command with `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65_536):
            # several commands may come in one piece; one answer even where it looks like none
            writer.write(answer * max(len(re.findall(rb"^\*\d+\r\n", asked, re.MULTILINE)), 1))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


async def test_what_is_not_redis_is_refused() -> None:
    async with _answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        assert "is not Redis: check EARSHOT_REDIS__URL" in await _refusal(url=url)


async def test_protected_mode_is_refused() -> None:
    async with _answering(b"-DENIED Redis is running in protected mode because ...\r\n") as url:
        assert "DENIED Redis is running in protected mode" in await _refusal(url=url)


@pytest.mark.parametrize("tcp", [True, False])
async def test_a_database_that_does_not_exist_is_refused(tcp: bool) -> None:
    with RedisServer(tcp=tcp) as server:
        url = server.url.replace("/0", "/99") if tcp else f"{server.url}?db=99"
        assert "DB index is out of range" in await _refusal(url=url)


async def test_one_server_is_no_cluster_and_no_sentinel() -> None:
    with RedisServer(tcp=True) as server:
        cluster = server.url.replace("redis://", "redis+cluster://")
        assert "Cluster mode is not enabled" in await _refusal(url=cluster)
        sentinel = server.url.replace("redis://", "redis+sentinel://").replace("/0", "/mymaster")
        assert "SENTINEL" in await _refusal(url=sentinel)


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


def test_both_versions_are_tried() -> None:
    assert EXECUTABLES["installed"] != EXECUTABLES["embedded"]
