"""The proxy of the chaos driver passes everything on, and cuts and swallows when it is told."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ops.bench.chaos.proxy import Proxy
from tests.support.redis_server import RedisServer

LARGE = b"x" * 2**20


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(redis_server.socket) as proxy:
        yield proxy


def client(proxy: Proxy, timeout_s: float = 10.0) -> Redis:
    return Redis.from_url(
        proxy.url, protocol=2, socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


async def test_everything_passes_both_ways(proxy: Proxy) -> None:
    async with client(proxy) as redis:
        await redis.set("key", LARGE)
        assert await redis.get("key") == LARGE
        assert len(proxy) == 1


async def test_a_cut_connection_is_gone_and_a_new_one_works(proxy: Proxy) -> None:
    async with client(proxy) as redis:
        await redis.set("key", 1)
        assert proxy.cut() == 1
        with pytest.raises((RedisConnectionError, OSError)):
            await redis.get("key")
        assert await redis.get("key") == b"1"


async def test_a_frozen_one_swallows_and_lets_pass_what_came_meanwhile(
    proxy: Proxy, redis_server: RedisServer
) -> None:
    async with client(proxy, timeout_s=0.3) as redis, redis_server.client() as direct:
        await redis.ping()
        proxy.freeze()
        with pytest.raises(RedisTimeoutError):
            await redis.set("late", 1)
        assert await direct.get("late") is None
        proxy.thaw()
        await redis.ping()


async def test_with_the_server_away_clients_are_turned_away(
    proxy: Proxy, redis_server: RedisServer
) -> None:
    redis_server.kill()
    async with client(proxy) as redis:
        with pytest.raises((RedisConnectionError, OSError)):
            await redis.ping()
        redis_server.start()
        assert await redis.ping()
