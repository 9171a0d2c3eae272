"""The handler of the LLM worker with the stand-in, which tells what it was asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from common.redis.store import Store
from common.settings import LlmSettings
from tests.support.llm_handler import LlmHandlerHarness
from tests.support.standin_server import StandIn
from workers.llm.persona import Personas

DEFAULT_PROMPT = Personas(LlmSettings()).default.system_prompt


class ChattyLlmHandler(LlmHandlerHarness):
    """With the stand-in, which knows what it was asked."""

    standin: StandIn

    def prompts(self) -> list[list[dict[str, str]]]:
        """The messages of each request that reached the server."""
        return [request.messages for request in self.standin.requests()]


@asynccontextmanager
async def running_handler(
    store: Store, standin: StandIn, **settings: Any
) -> AsyncIterator[ChattyLlmHandler]:
    async with ChattyLlmHandler.running(store, standin.base_url, **settings) as harness:
        harness.standin = standin
        yield harness


def spoken(messages: list[dict[str, str]]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "user"]
