"""Publishing what a worker does and waits for, where `earshot status` looks."""

import asyncio
import os
import socket
import time
from typing import Final, Unpack

from common.keys import WORKERS, worker_key
from common.redis.client import AnyRedis
from common.redis.server import now_ms
from common.status.worker_record import WorkerChanges, WorkerRecord

PRUNE_AFTER_S: Final = 3_600
"""A worker that has given no sign of life for this long is no longer listed."""


def consumer_name(role: str) -> str:
    """Return a new name for each process start: a dead process's claims must not look like ours."""
    return f"{role}-{socket.gethostname()[:32]}-{os.getpid()}-{os.urandom(3).hex()}"


class Registration:
    """One worker's record. `changed` is set when it differs from what was published."""

    def __init__(self, redis: AnyRedis, name: str, role: str, *, ttl_s: float) -> None:
        self._redis = redis
        self._ttl_ms = round(ttl_s * 1000)
        self.changed = asyncio.Event()
        self.record = WorkerRecord(
            name=name,
            role=role,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=round(time.time()),
            state="starting",
        )

    def update(self, **changes: Unpack[WorkerChanges]) -> None:
        """Change fields of the record; None removes a value."""
        fresh = self.record.model_copy(update={**changes})
        if fresh != self.record:
            self.record = fresh
            self.changed.set()

    async def publish(self) -> None:
        """Write the record, which vanishes by itself when the worker dies."""
        name = self.record.name
        await self._redis.set(worker_key(name), self.record.to_json(), px=self._ttl_ms)
        now = await now_ms(self._redis, WORKERS) / 1000
        await self._redis.zadd(WORKERS, {name: now})
        await self._redis.zremrangebyscore(WORKERS, 0, now - PRUNE_AFTER_S)
        await self._redis.expire(WORKERS, PRUNE_AFTER_S)

    async def remove(self) -> None:
        """Delete the record, since the worker leaves."""
        await self._redis.delete(worker_key(self.record.name))
        await self._redis.zrem(WORKERS, self.record.name)
