"""What every test may ask for: a private Redis server and a store on it."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from common.settings import LimitSettings
from common.store import Store
from tests.integration.redis_server import EXECUTABLES, RedisServer

# Timeouts so short that a test can have them pass, limits so low that a test can reach them.
FAST = LimitSettings(
    session_ttl_s=60,
    seen_ttl_s=120,
    max_backlog=8,
    max_unanswered=6,
    turn_timeout_s=0.001,
    tend_after_s=0.001,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seeds", type=int, default=None, help="random runs of the model test on each server"
    )


@pytest.fixture
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of this test's own, which it may kill. By default the one on PATH.

    `parametrize("redis_server", ["installed", "embedded"], indirect=True)` runs a test on both
    versions.
    """
    name = getattr(request, "param", None)
    if name is not None and EXECUTABLES[name] is None:
        message = f"no redis-server ({name}) on this machine"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with RedisServer(EXECUTABLES[name] if name else None) as server:
        yield server


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    """One shard with the limits `FAST`."""
    async with redis_server.client() as client:
        yield Store(client, 1, FAST)
