"""Workers in the test's own event loop, on the Redis of the test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.redis_server import RedisServer
from tests.support.worker_tasks import WorkerTasks, running_worker_tasks


@pytest.fixture
async def workers(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WorkerTasks]:
    async with running_worker_tasks(redis_server, monkeypatch) as workers:
        yield workers
