"""A server as a test wants it, and how the check at the start, or a command, fails on it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from common.errors import RedisUnusable
from common.redis.client import AnyRedis, connect
from common.redis.server import check_server
from common.redis.store import Store
from common.settings import LimitSettings, RedisSettings
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.support.redis_server import RedisServer

BOTH = pytest.mark.parametrize("redis_server", ["installed", "embedded"], indirect=True)
UTTERANCE = Utterance(id="u1", session="s1", audio=b"x" * 10, samples=5, codec="pcm_s16le")


@asynccontextmanager
async def running_client(**settings: Any) -> AsyncIterator[tuple[AnyRedis, RedisSettings]]:
    chosen = RedisSettings(**settings)
    redis = connect(chosen)
    try:
        yield redis, chosen
    finally:
        await redis.aclose()


async def check(shards: int = 1, **settings: Any) -> None:
    async with running_client(**settings) as (redis, chosen):
        await check_server(redis, chosen, shards)


async def refusal(shards: int = 1, **settings: Any) -> str:
    with pytest.raises(RedisUnusable) as refused:
        await check(shards, **settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def failure(command: str, *arguments: Any, **settings: Any) -> Exception:
    """What the server answers to a command, as an exception."""
    async with running_client(**settings) as (redis, _):

        async def asked() -> None:
            if command == "publish":
                await publish(Store(redis, 1, LimitSettings()), UTTERANCE)
            else:
                await redis.execute_command(command, *arguments)

        with pytest.raises(Exception, match=r".") as failed:
            await asked()
    error: Exception = failed.value
    return error


def configure(server: RedisServer, **options: str) -> None:
    with server.sync_client() as client:
        for name, value in options.items():
            client.config_set(name.replace("_", "-"), value)


def add_user(server: RedisServer, *rules: str) -> None:
    with server.sync_client() as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">p", "~*", "+@all", *rules)


def as_user(server: RedisServer) -> dict[str, Any]:
    return {"url": server.url, "username": "few", "password": SecretStr("p")}


@asynccontextmanager
async def running_raw_server(answer: bytes) -> AsyncIterator[str]:
    """A server that answers every command with `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65_536):
            # several commands may come in one piece; one answer even where it looks like none
            writer.write(answer * max(len(re.findall(rb"^\*\d+\r\n", asked, re.MULTILINE)), 1))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
