"""A TCP proxy in front of Redis's Unix socket, to cut connections and to swallow bytes."""

import asyncio
import random
from pathlib import Path
from types import TracebackType
from typing import Final, Self

CHUNK: Final = 65_536


class Proxy:
    """Use it as an async context manager; clients connect to `port` on 127.0.0.1."""

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
        """How many clients are connected."""
        return len(self._clients)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self.thaw()

    def cut(self, share: float = 1.0, rng: random.Random | None = None) -> int:
        """Reset this share of the connections, in mid-command where it happens so."""
        clients = sorted(self._clients, key=id)
        chosen = clients if rng is None else rng.sample(clients, round(share * len(clients)))
        for client in chosen:
            client.transport.abort()
        return len(chosen)

    def freeze(self) -> None:
        """Swallow: connections stay open (new ones too), no byte passes."""
        self._passing.clear()

    def thaw(self) -> None:
        """Let everything that came meanwhile pass on, commands that were given up on included."""
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
            pass  # the server is away, or one side was cut: the other is, too
        finally:
            self._clients.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one side has ended")
