"""A stand-in that many tests use one after the other, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI

from tests.support.standin_server import StandIn


@pytest.fixture(scope="module")
def _shared_server() -> Iterator[StandIn]:
    with StandIn("--first-token-ms", "1", "--tokens-per-s", "1000") as stand_in:
        yield stand_in


@pytest.fixture
def server(_shared_server: StandIn) -> StandIn:
    """Without faults, and with no request so far."""
    _shared_server.reset()
    return _shared_server


@pytest.fixture
async def client(server: StandIn) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=server.base_url, api_key="any", max_retries=0, timeout=30
    ) as opened:
        yield opened
