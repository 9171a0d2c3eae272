"""An HTTP server whose every byte the test writes: what other LLM servers answer."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def running_raw_server(
    answer: bytes | Callable[[bytes], bytes] = b"",
    *,
    with_body: Callable[[bytes, bytes], bytes] | None = None,
) -> AsyncIterator[str]:
    """The base URL of a server that answers each request with these bytes, or by its head.

    `with_body` answers by head and body.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        if with_body is not None:
            writer.write(with_body(head, body))
        else:
            writer.write(answer if isinstance(answer, bytes) else answer(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def http_response(status: str, body: str, *headers: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
