"""The LLM worker's client on a server: ask it, and say how it failed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from common.errors import EarshotError, Transient
from common.settings import LlmSettings
from common.transitions.answering import Message
from ops.demo.standin.ledger import Listing
from tests.support.standin_server import StandIn
from workers.llm.answers.finished import Finished
from workers.llm.server.llm_server import LlmServer

HELLO: list[Message] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "hello"},
]
MAX_TOKENS = 64


@asynccontextmanager
async def running_client(base_url: str, **settings: Any) -> AsyncIterator[LlmServer]:
    server = LlmServer(LlmSettings(base_url=base_url, **settings))
    try:
        yield server
    finally:
        await server.close()


async def ask(
    server: LlmServer, messages: list[Message] = HELLO, max_tokens: int = MAX_TOKENS
) -> tuple[str, Finished]:
    """The whole reply and how it ended."""
    parts = [part async for part in server.generate(messages, max_tokens)]
    finished = parts.pop()
    assert isinstance(finished, Finished)
    return "".join(part for part in parts if isinstance(part, str)), finished


async def failure(server: LlmServer, messages: list[Message] = HELLO) -> EarshotError:
    with pytest.raises(EarshotError) as raised:
        await ask(server, messages)
    return raised.value


def transient_message(error: EarshotError, *, opens_breaker: bool) -> str:
    assert isinstance(error, Transient), repr(error)
    assert error.opens_breaker is opens_breaker, str(error)
    return str(error)


async def until_listed(standin: StandIn, condition: Callable[[Listing], object]) -> Listing:
    """The stand-in's requests, once `condition` holds for them."""
    return await asyncio.to_thread(standin.wait_for, condition)


async def probe_failure(server: LlmServer) -> EarshotError:
    with pytest.raises(EarshotError) as raised:
        await server.probe()
    return raised.value
