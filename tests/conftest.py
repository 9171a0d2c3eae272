"""What every test may ask for: a private Redis server and a store on it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from common.redis.store import Store
from common.settings import LimitSettings
from tests.support.redis_server import EXECUTABLES, RedisServer
from tests.support.secured_redis import make_secrets

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
    parser.addoption("--seeds", type=int, help="random runs of the model test on each server")
    parser.addoption("--seed", type=int, help="the only run of the model test")
    parser.addoption(
        "--fuzz-seconds", type=float, default=120.0, help="length of the long run of the fuzzer"
    )
    parser.addoption(
        "--real", action="store_true", help="also run tests/real, with Whisper base and your CLIPS"
    )
    parser.addoption("--clips", default="", help="a folder of recordings for tests/real")
    parser.addoption(
        "--llm-server",
        choices=["stand-in", "vllm"],
        default="stand-in",
        help="what the LLM worker's contract is tested with",
    )


def executable(name: str | None) -> str | None:
    """The path of the "installed" or "embedded" server; a skip without it, in CI a failure."""
    if name is None:
        return None
    if path := EXECUTABLES[name]:
        return path
    message = f"no redis-server ({name}) on this machine"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands that ran in this process must not decide what later tests can hear of the logs.

    Tracebacks are plain: painting one with all its variables stops a test's event loop for longer
    than the claims last that many tests make.
    """
    *processors, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, plain])
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of this test's own, which it may kill. By default the one on PATH.

    `parametrize("redis_server", ["installed", "embedded"], indirect=True)` runs a test on both
    versions.
    """
    with RedisServer(executable(getattr(request, "param", None))) as server:
        yield server


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    """One shard with the limits `FAST`."""
    async with redis_server.client() as client:
        yield Store(client, 1, FAST)


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[dict[str | None, RedisServer]]:
    """Servers by name that many tests use one after the other, started when first asked for."""
    servers: dict[str | None, RedisServer] = {}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture
async def clean_store(
    request: pytest.FixtureRequest, shared_servers: dict[str | None, RedisServer]
) -> AsyncIterator[Store]:
    """Like `store`, on an empty server that other tests have used and will use: do not kill it."""
    name = getattr(request, "param", None)
    if name not in shared_servers:
        shared_servers[name] = RedisServer(executable(name))
    async with shared_servers[name].client() as client:
        await client.flushall()
        await client.config_set("maxmemory", 0)
        yield Store(client, 1, FAST)


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `make-secrets.sh` leaves it, with a certificate for a client `kitchen`."""
    return make_secrets(tmp_path_factory.mktemp("secrets"), "--client", "kitchen")
