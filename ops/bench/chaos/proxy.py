"""A TCP proxy in front of Redis's Unix socket. It cuts connections, and it holds bytes back."""

import asyncio
import random
from pathlib import Path
from typing import Final, Self

from common.closeable import AsyncCloseable

CHUNK: Final = 65_536


class Proxy(AsyncCloseable):
    """Passes bytes on between clients and Redis. Clients connect to `port` on 127.0.0.1.

    The port is open inside the context.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __len__(self) -> int:
        """Return how many clients are connected."""
        return len(self._clients)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Close the port, and cut all connections."""
        assert self._server is not None
        self._server.close()
        self.cut()
        self.thaw()

    def cut(self, share: float = 1.0, rng: random.Random | None = None) -> int:
        """Reset this share of the connections, even in the middle of a command; return how many."""
        clients = sorted(self._clients, key=id)
        chosen = clients if rng is None else rng.sample(clients, round(share * len(clients)))
        for client in chosen:
            client.transport.abort()
        return len(chosen)

    def freeze(self) -> None:
        """Hold all bytes back. Connections stay open, and new ones are accepted."""
        self._passing.clear()

    def thaw(self) -> None:
        """Pass on all bytes that were held back, even commands whose clients no longer wait."""
        self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            await self._passing.wait()
            to_server: asyncio.StreamWriter
            from_server, to_server = await asyncio.open_unix_connection(self._socket)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(reader, to_server))
                    both.create_task(self._pump(from_server, writer))
            finally:
                to_server.transport.abort()
        except* OSError:
            pass  # the server is away, or one side was cut, and then the other is cut as well
        finally:
            self._clients.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one side has ended")
