"""A proxy in front of a Redis that loses answers: the command is done, and nobody hears of it."""

import asyncio
from typing import Self

from common.closeable import AsyncCloseable
from tests.support.redis_server import RedisServer

CHUNK = 65_536


class AnswerLosingProxy(AsyncCloseable):
    """Use it as an async context manager; every `every`-th script's answer is lost."""

    def __init__(self, server: RedisServer, *, every: int) -> None:
        self._target = server.socket
        self._every = every
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.scripts = 0
        self.lost = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        from_redis, to_redis = await asyncio.open_unix_connection(self._target)
        try:
            # one request, one answer: a producer has one command on its way at a time
            while request := await self._whole(reader):
                to_redis.write(request)
                await to_redis.drain()
                answer = await from_redis.read(CHUNK)
                if b"EVALSHA" in request:
                    self.scripts += 1
                    if self.scripts % self._every == 0:
                        self.lost += 1
                        break
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # one of the two has ended, or the test
        finally:
            to_redis.close()
            writer.transport.abort()

    async def _whole(self, reader: asyncio.StreamReader) -> bytes:
        """What was sent up to a pause: a large command comes in several pieces."""
        request = await reader.read(CHUNK)
        while len(request) >= CHUNK // 2:
            try:
                async with asyncio.timeout(0.02):
                    request += await reader.read(CHUNK)
            except TimeoutError:
                break
        return request
