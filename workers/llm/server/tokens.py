"""How many tokens texts have: counted by the server (vLLM's `/tokenize`), or estimated.

The usage that replies report corrects both.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import openai
import structlog

from workers.llm.server.endpoint import Endpoint

SAFE_SHARE: Final = 0.9
"""The share of a window's tokens that is used where counts are estimated by characters: messages
differ in how many characters make a token."""

COUNT_TIMEOUT_S: Final = 1.0
"""A reply waits for the counts, and an estimate does as well in the end."""

COUNT_REST_S: Final = 60.0
"""Many servers count nothing, and some stop: one that failed is not asked again for this long."""

MAX_COUNTED: Final = 10_000
"""Texts whose counts are kept: those of about 500 conversations."""

FIRST_RATIO: Final = 0.5
"""Tokens per byte before the first usage: English has 0.25, German 0.35, Chinese up to 0.6."""

RATIOS: Final = (0.05, 1.5)
"""The lowest and the highest ratio that is believed."""

FIRST_PER_MESSAGE: Final = 8.0
"""Tokens that chat templates put around a message: 4 to 8 in ChatML, Llama, Mistral."""

FIRST_BASE: Final = 32.0
"""Tokens that chat templates put once in front of all messages: Llama 3.1 writes the date there."""

Count = Callable[[str], Awaitable[int | None]]

log = structlog.get_logger(__name__)


class Tokenizer:
    """Asks one server for counts, over the connections to it."""

    def __init__(self, endpoint: Endpoint, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._rests_until = 0.0

    async def count(self, model: str, text: str) -> int | None:
        """Return the tokens of `text`, without those that open and close a message.

        None where the server does not tell, or not in time: never an error.
        """
        if self._clock() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(COUNT_TIMEOUT_S):
                answer = await self._endpoint.tokenize(model, text)
        except (TimeoutError, openai.APIError, ValueError, RecursionError) as error:
            self._rest(repr(error))
            return None
        count = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(count, int) or count < 1:
            self._rest("the answer holds no count")
            return None
        return count

    def _rest(self, why: str) -> None:
        self._rests_until = self._clock() + COUNT_REST_S
        log.debug("no_token_counts", why=why, again_in_s=COUNT_REST_S)


class TokenCounts:
    """The sizes of texts for one model. `count` asks the server; None means it does not tell.

    Texts are remembered by their hashes: what was said is kept here no longer than elsewhere.
    """

    def __init__(self, count: Count) -> None:
        self._count = count
        self._counted: dict[int, int] = {}
        self._ratio = FIRST_RATIO
        self._overheads: dict[int, float] = {}

    async def learn(self, texts: Sequence[str]) -> None:
        """Have the server count those texts that were not counted yet."""
        new = [text for text in dict.fromkeys(texts) if hash(text) not in self._counted]
        if not new:
            return
        # the first one alone: it shows whether the server counts at all
        counts = [await self._count(new[0])]
        if counts[0] is None:
            return
        counts += await asyncio.gather(*map(self._count, new[1:]))
        for text, count in zip(new, counts, strict=True):
            if count is not None:
                self._counted[hash(text)] = count
        while len(self._counted) > MAX_COUNTED:
            del self._counted[next(iter(self._counted))]

    def size(self, text: str) -> float:
        """Return the tokens of a text: counted, or estimated on the safe side."""
        counted = self._counted.get(hash(text))
        return len(text.encode()) * self._ratio / SAFE_SHARE if counted is None else counted

    @property
    def overhead(self) -> tuple[float, float]:
        """What a request adds to its messages, and what a message adds to its text, in tokens.

        A line through the shortest and the longest of the requests whose texts were counted.
        """
        if not self._overheads:
            return FIRST_BASE, FIRST_PER_MESSAGE
        few, many = min(self._overheads), max(self._overheads)
        if few == many:
            per_message = min(FIRST_PER_MESSAGE, self._overheads[few] / few)
        else:
            per_message = max(0.0, (self._overheads[many] - self._overheads[few]) / (many - few))
        return max(0.0, self._overheads[few] - few * per_message), per_message

    def correct(self, texts: Sequence[str], messages: int, prompt_tokens: int) -> None:
        """Learn from the usage of a request that held these `texts` in so many `messages`."""
        sizes = [self._counted.get(hash(text)) for text in texts]
        counted = [size for size in sizes if size is not None]
        if len(counted) == len(texts):
            self._overheads[messages] = max(0.0, prompt_tokens - sum(counted))
            return
        spoken = prompt_tokens - messages * self.overhead[1]
        ratio = spoken / max(1, sum(len(text.encode()) for text in texts))
        ratio = min(max(ratio, RATIOS[0]), RATIOS[1])
        # up at once, down step by step: less history is better than a refused request
        self._ratio = ratio if ratio > self._ratio else (self._ratio + ratio) / 2
