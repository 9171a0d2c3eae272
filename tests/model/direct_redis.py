"""A Redis client without an event loop: every command is sent and answered at once.

A coroutine that uses it never waits, so that a scheduler may drive many of them by hand, one
command at a time, and the same seed gives the same interleaving.
"""

import inspect
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from tests.support.redis_server import RedisServer

# What changes no session: reading, and the claims of consumer groups.
HARMLESS: Final = frozenset(
    {"DUMP", "EXISTS", "GET", "HGET", "HGETALL", "KEYS", "LRANGE", "PTTL", "TIME", "XLEN", "XRANGE"}
    | {"XACK", "XCLAIM", "XGROUP", "XPENDING", "XREADGROUP", "ZRANGE"}
)


class DirectRedis(Redis):
    """Looks like an asyncio client; `do` gives the raw answer of a command.

    `changes` counts the commands that may have changed the state of a session.
    """

    def __init__(self, server: RedisServer) -> None:
        super().__init__(unix_socket_path=str(server.socket), protocol=2)
        self._blocking = server.sync_client()
        self.changes = 0
        self._wire: Any = self._blocking.connection_pool.get_connection()

    def do(self, *command: str | bytes | float) -> Any:
        """Send one command; return its answer in RESP2, or raise the error it answers with."""
        if command[0] not in HARMLESS:
            self.changes += 1
        self._wire.send_command(*command)
        try:
            return self._wire.read_response()
        except redis.ResponseError as error:
            if "used memory > 'maxmemory'" in str(error):  # Redis 6.2 has no code for it in scripts
                raise OutOfMemoryError(str(error)) from error
            raise

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
