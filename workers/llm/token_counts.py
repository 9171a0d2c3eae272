"""Sizes of texts in tokens: counted by the server, each once, or estimated; and both corrected by
the usage that replies come with."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from workers.llm.prompt import SAFE_SHARE

# The texts of about 500 conversations.
MAX_COUNTED: Final = 10_000

# Tokens a byte, before any usage came back: English has 0.25, German 0.35, Chinese up to 0.6.
FIRST_RATIO: Final = 0.5
RATIOS: Final = (0.05, 1.5)

# Tokens that chat templates put around a message (4 to 8 in ChatML, Llama, Mistral), and once in
# front of all of them (Llama 3.1 writes the date there).
FIRST_PER_MESSAGE: Final = 8.0
FIRST_BASE: Final = 32.0

Count = Callable[[str], Awaitable[int | None]]


class TokenCounts:
    """Of one model. `count` asks the server, and is None where it does not tell.

    Texts are known by their hashes: what was said is not kept here longer than elsewhere.
    """

    def __init__(self, count: Count) -> None:
        self._count = count
        self._known: dict[int, int] = {}
        self._ratio = FIRST_RATIO
        self._overheads: dict[int, float] = {}

    async def learn(self, texts: Sequence[str]) -> None:
        """Have those texts counted that are not known yet, as far as the server counts."""
        unknown = [text for text in dict.fromkeys(texts) if hash(text) not in self._known]
        if not unknown:
            return
        # the first alone: it tells whether the server counts at all
        counts = [await self._count(unknown[0])]
        if counts[0] is None:
            return
        counts += await asyncio.gather(*map(self._count, unknown[1:]))
        for text, count in zip(unknown, counts, strict=True):
            if count is not None:
                self._known[hash(text)] = count
        while len(self._known) > MAX_COUNTED:
            del self._known[next(iter(self._known))]

    def size(self, text: str) -> float:
        """Tokens of a text: counted, or estimated on the safe side."""
        known = self._known.get(hash(text))
        return len(text.encode()) * self._ratio / SAFE_SHARE if known is None else known

    @property
    def overhead(self) -> tuple[float, float]:
        """What a request adds to its messages, and a message to its text: a line through the
        shortest and the longest of the requests whose texts were counted."""
        if not self._overheads:
            return FIRST_BASE, FIRST_PER_MESSAGE
        few, many = min(self._overheads), max(self._overheads)
        if few == many:
            per_message = min(FIRST_PER_MESSAGE, self._overheads[few] / few)
        else:
            per_message = max(0.0, (self._overheads[many] - self._overheads[few]) / (many - few))
        return max(0.0, self._overheads[few] - few * per_message), per_message

    def correct(self, texts: Sequence[str], messages: int, prompt_tokens: int) -> None:
        """Learn from a reply's usage: how many `messages` its request had, with which `texts`."""
        known = [self._known.get(hash(text)) for text in texts]
        counted = [count for count in known if count is not None]
        if len(counted) == len(texts):
            self._overheads[messages] = max(0.0, prompt_tokens - sum(counted))
            return
        spoken = prompt_tokens - messages * self.overhead[1]
        seen = spoken / max(1, sum(len(text.encode()) for text in texts))
        seen = min(max(seen, RATIOS[0]), RATIOS[1])
        # up at once, down by and by: less memory is better than a refused request
        self._ratio = seen if seen > self._ratio else (self._ratio + seen) / 2
