"""What a worker is, does and waits for, published where `earshot status` looks."""

import asyncio
import json
import os
import socket
import time
from typing import Any, Final

from common.keys import WORKERS, worker_key
from common.redis.client import AnyRedis
from common.redis.server import now_ms

# A worker that has given no sign of life for this long is no longer listed.
PRUNE_AFTER_S: Final = 3_600


def consumer_name(role: str) -> str:
    """A new name for each process start: a dead process's claims must not look like ours."""
    return f"{role}-{socket.gethostname()[:32]}-{os.getpid()}-{os.urandom(3).hex()}"


class Register:
    """One worker's entry. `changed` is set when it says something new, for whoever publishes."""

    def __init__(self, redis: AnyRedis, name: str, role: str, *, ttl_s: float) -> None:
        self._redis = redis
        self.name = name
        self._ttl_ms = round(ttl_s * 1000)
        self.changed = asyncio.Event()
        self.state: dict[str, Any] = {
            "name": name,
            "role": role,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_at": round(time.time()),
            "state": "starting",
        }

    def says(self, **state: Any) -> None:
        """Add to the state; None removes a value."""
        both = self.state | state
        fresh = {name: value for name, value in both.items() if value is not None}
        if fresh != self.state:
            self.state = fresh
            self.changed.set()

    async def publish(self) -> None:
        """Write the state; it vanishes by itself when the worker does."""
        await self._redis.set(worker_key(self.name), json.dumps(self.state), px=self._ttl_ms)
        now = await now_ms(self._redis) / 1000
        await self._redis.zadd(WORKERS, {self.name: now})
        await self._redis.zremrangebyscore(WORKERS, 0, now - PRUNE_AFTER_S)
        await self._redis.expire(WORKERS, PRUNE_AFTER_S)

    async def remove(self) -> None:
        await self._redis.delete(worker_key(self.name))
        await self._redis.zrem(WORKERS, self.name)
