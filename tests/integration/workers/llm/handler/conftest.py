"""The handler of the LLM worker on a real Redis and the stand-in over HTTP, without the loop."""

from collections.abc import AsyncIterator

import pytest

from common.redis.store import Store
from tests.integration.workers.llm.handler.chatty_handler import ChattyLlmHandler, running_handler
from tests.support.standin_server import StandIn


@pytest.fixture
async def harness(store: Store, standin: StandIn) -> AsyncIterator[ChattyLlmHandler]:
    async with running_handler(store, standin) as harness:
        yield harness
