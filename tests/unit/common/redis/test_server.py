"""A server that is too old to keep the promises is refused."""

from typing import Any, cast

import pytest
from redis.asyncio import Redis

from common.errors import RedisUnusable
from common.redis.server import check_server
from common.settings import RedisSettings


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
