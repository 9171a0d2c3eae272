"""What integration tests have in common: an empty Redis server with `earshot` on it, and a secured
one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from common.redis.store import Store
from common.settings import LimitSettings
from tests.support.command_line import InProcessCommand
from tests.support.environments import clear_environment, restored_logging
from tests.support.listening import write_silence
from tests.support.redis_server import RedisServer
from tests.support.secured_redis import SecuredRedis

Answer = TypeVar("Answer")


@pytest.fixture(scope="session")
def _shared(secrets: Path) -> Iterator[SecuredRedis]:
    with SecuredRedis(secrets) as server:
        yield server


@pytest.fixture
def secured(_shared: SecuredRedis) -> SecuredRedis:
    """Empty, and with nothing refused so far; others use it before and after: do not kill it."""
    with _shared.sync_client() as client:
        client.flushall()
        client.acl_log_reset()
    return _shared


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def earshot(
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[InProcessCommand]:
    """The command inside of this process, on an empty server, in a folder of the test's own."""
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("EARSHOT_REDIS__URL", server.url)
    with server.sync_client() as client:
        client.flushall()
    with restored_logging():
        yield InProcessCommand(monkeypatch, capsys)


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """A recording of a minute of silence."""
    return write_silence(tmp_path / "silence.wav")


def with_store(
    server: RedisServer, act: Callable[[Store], Awaitable[Answer]], shards: int = 1
) -> Answer:
    """What `act` does with a store on the server, for tests that are not asynchronous."""

    async def acted() -> Answer:
        async with server.client() as client:
            return await act(Store(client, shards, LimitSettings()))

    return asyncio.run(acted())
