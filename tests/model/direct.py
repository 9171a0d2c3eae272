"""A Redis client without an event loop: every command is sent and answered at once.

A coroutine that uses it never waits, so that a scheduler may drive many of them by hand, one
command at a time, and the same seed gives the same interleaving.
"""

import inspect
from types import TracebackType
from typing import Any, Self

import redis
from redis.asyncio import Redis
from redis.connection import ConnectionInterface

from tests.integration.redis_server import RedisServer


class DirectRedis(Redis):
    """Looks like an asyncio client; `do` gives the raw answer of a command."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__(unix_socket_path=str(server.socket), protocol=2)
        self._blocking = server.sync_client()
        self._wire: ConnectionInterface = self._blocking.connection_pool.get_connection()

    def do(self, *command: str | bytes | float) -> Any:
        """Send one command; return its answer in RESP2, or raise the error it answers with."""
        self._wire.send_command(*command)
        return self._wire.read_response()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            answer = self.do(*args)
        except redis.ResponseError:
            if "EMPTY_RESPONSE" in options:
                return options["EMPTY_RESPONSE"]
            raise
        callback = self.response_callbacks.get(args[0])
        if callback is None:
            return answer
        options.pop("keys", None)
        parsed = callback(answer, **options)
        return await parsed if inspect.isawaitable(parsed) else parsed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._blocking.close()
