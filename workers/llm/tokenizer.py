"""Counting tokens where the server does that: vLLM's `/tokenize`, beside its `/v1`."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import openai
import structlog

# Counting is a courtesy to the reply that waits for it: an estimate does as well in the end.
LIMIT_S: Final = 1.0
# Many servers count nothing, and some stop: how long one that failed is not asked again.
REST_S: Final = 60.0

log = structlog.get_logger(__name__)


class Tokenizer:
    """Asks one server, over the client's connections. `headers` go with each request."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        headers: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._headers = headers
        self._clock = clock
        self._rests_until = 0.0
        base = str(client.base_url).rstrip("/")
        self._url = base.removesuffix("/v1") + "/tokenize"

    async def count(self, model: str, text: str) -> int | None:
        """The tokens of `text`, without those that open and close a message.

        None where the server does not tell, or not in time: never an error.
        """
        if self._clock() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(LIMIT_S):
                answer = await self._client.post(
                    self._url,
                    cast_to=object,
                    body={"model": model, "prompt": text, "add_special_tokens": False},
                    options={"headers": self._headers},
                )
        except (TimeoutError, openai.APIError, json.JSONDecodeError) as error:
            self._rest(repr(error))
            return None
        count = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(count, int) or count < 1:
            self._rest("what it answers holds no count")
            return None
        return count

    def _rest(self, why: str) -> None:
        self._rests_until = self._clock() + REST_S
        log.debug("no_token_counts", why=why, again_in_s=REST_S)
