"""Libraries without asyncio get a client for one server; a Cluster is refused with a sentence."""

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.errors import BadSetting
from common.redis.blocking import connect_blocking
from common.settings import RedisSettings
from tests.support.redis_server import RedisServer


def test_one_server_is_reached(redis_server: RedisServer) -> None:
    settings = RedisSettings(url=redis_server.url)
    with connect_blocking(settings, Retry(NoBackoff(), 0)) as client:
        assert client.ping()


def test_a_cluster_is_refused() -> None:
    settings = RedisSettings(url="redis+cluster://127.0.0.1:7000")
    with pytest.raises(BadSetting, match="a blocking client cannot use a Redis Cluster"):
        connect_blocking(settings, Retry(NoBackoff(), 0))
