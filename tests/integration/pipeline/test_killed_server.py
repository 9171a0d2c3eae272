"""Promise 8: a request that brings the LLM server down buries no turn of another session, although
it breaks their replies again and again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from common.events import Error, Reply, parse_event
from common.keys import Shard
from common.redis.client import connect
from common.redis.store import Store
from common.settings.loading import load_settings
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from workers.llm.handler import LlmHandler
from workers.loop.consumer_loop import ConsumerLoop

INNOCENT = [f"guest-{number}" for number in range(10)]
WORDS = 15


class FragileServer:
    """Streams ten words per second to each client, and drops all of them when it reads "poison".

    It is back at once, as a replica behind a balancer is. It streams in chunks, as servers do, so
    that a stream which was dropped can be told from one that has ended.
    """

    def __init__(self) -> None:
        self._streams: set[asyncio.StreamWriter] = set()
        self.crashes = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
            if head.startswith(b"get"):
                models = b'{"data":[{"id":"m","object":"model"}]}'
                writer.write(self._head(b"application/json") + models)
            else:
                await self._answer(json.loads(body)["messages"][-1]["content"], writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._streams.discard(writer)
            writer.close()

    async def _answer(self, said: str, writer: asyncio.StreamWriter) -> None:
        if "poison" in said:
            self.crashes += 1
            for stream in [*self._streams, writer]:
                stream.transport.abort()
            return
        self._streams.add(writer)
        writer.write(self._head(b"text/event-stream\r\ntransfer-encoding: chunked"))
        for _ in range(1 if said == "hello" else WORDS):
            writer.write(_chunk(b'data: {"choices":[{"delta":{"content":"word "}}]}\n\n'))
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(_chunk(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'))
        writer.write(_chunk(b"data: [DONE]\n\n") + _chunk(b""))

    @staticmethod
    def _head(kind: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: " + kind + b"\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    """RFC 9112, section 7.1."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@asynccontextmanager
async def running_worker(redis: RedisServer, base_url: str) -> AsyncIterator[Store]:
    """One LLM worker in this event loop, with the defaults."""
    settings = load_settings({"redis": {"url": redis.url}, "llm": {"base_url": base_url}})
    store = Store(connect(settings.redis), 1, settings.limits)
    loop = ConsumerLoop(store, settings, LlmHandler(store, settings.llm), "w1")
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(stop))
    try:
        yield store
    finally:
        stop.set()
        await task
        await store.redis.aclose()


@pytest.mark.timeout(200)
async def test_innocent_turns_survive_beside_one_that_breaks_the_server(
    redis_server: RedisServer,
) -> None:
    fragile = FragileServer()
    server = await asyncio.start_server(fragile.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, running_worker(redis_server, url) as store:
        for session in [*INNOCENT[:5], "killer", *INNOCENT[5:]]:
            text = "poison" if session == "killer" else f"a tale for {session}"
            await publish(store, Utterance(id=session, session=session, text=text))

        async def answered() -> set[str]:
            redis: Any = store.redis
            rows = await redis.xrange(Shard(0).results)
            events = [parse_event(fields) for _, fields in rows]
            assert {event.session for event in events if isinstance(event, Error)} <= {"killer"}
            replies = [event for event in events if isinstance(event, Reply)]
            assert all(reply.data.text.split() == ["word"] * WORDS for reply in replies)
            return {reply.session for reply in replies}

        assert await until(answered, lambda sessions: len(sessions) == 10) == set(INNOCENT)
        assert fragile.crashes > 1, "their replies were broken on the way"
