"""One streamed reply, chunk by chunk: its text, how it ended, what it used."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from openai.types.chat import ChatCompletionChunk


class Reply:
    """What the chunks of one stream have told so far.

    They are not validated by the SDK, and whatever listens at the address may have sent them.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.begun = False
        self.finish_reason: str | None = None
        self.usage: Mapping[str, int] | None = None

    async def first(self, chunks: AsyncIterator[ChatCompletionChunk]) -> str | None:
        """Text up to the first token; None if there is none. Some servers send the role, which
        is no token, as soon as they have the request."""
        text: str | None = ""
        while text is not None and not self.begun:
            text = await self.more(chunks)
        return text

    async def more(self, chunks: AsyncIterator[ChatCompletionChunk]) -> str | None:
        """The next chunk's text, which may be empty; None at the end."""
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            return None
        self.model = str(getattr(chunk, "model", None) or self.model)
        if usage := getattr(chunk, "usage", None):
            self.usage = {
                name: int(getattr(usage, name, None) or 0)
                for name in ("prompt_tokens", "completion_tokens", "total_tokens")
            }
        return "".join(map(self._choice, getattr(chunk, "choices", None) or []))

    def _choice(self, choice: Any) -> str:
        self.finish_reason = getattr(choice, "finish_reason", None) or self.finish_reason
        delta = getattr(choice, "delta", None)
        if delta is not None and not self.begun:
            self.begun = any(delta.model_dump(exclude={"role"}).values())
        self.begun = self.begun or self.finish_reason is not None
        text = str(getattr(delta, "content", None) or "")
        # half a surrogate pair, which JSON can bear and UTF-8 cannot
        return text if text.isascii() else text.encode("utf-8", "replace").decode()
