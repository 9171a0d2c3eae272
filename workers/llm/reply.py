"""One streamed reply: its text, how it ended, what it used."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from openai.types.chat import ChatCompletionChunk


@dataclass(frozen=True, slots=True)
class Finished:
    """How a reply ended: `model` as the server names it, `usage` in tokens if it counted them."""

    finish_reason: str
    model: str
    usage: Mapping[str, int] | None = None


class ReplyText:
    """The text of a reply. `finished` is set when the server has ended the reply."""

    def __init__(self, parts: AsyncGenerator[str | Finished, None]) -> None:
        self._parts = parts
        self.finished: Finished | None = None

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Yield the pieces of text. Closes the parts, however it ends."""
        async with aclosing(self._parts) as parts:
            async for part in parts:
                if isinstance(part, Finished):
                    self.finished = part
                else:
                    yield part


class ChunkReader:
    """Reads the chunks of one stream, and keeps what they have told so far.

    The SDK does not validate them, and anything may have sent them that listens at the address.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.begun = False
        self.finish_reason: str | None = None
        self.usage: Mapping[str, int] | None = None

    async def first(self, chunks: AsyncIterator[ChatCompletionChunk]) -> str | None:
        """Return the text up to the first token; None if there is none.

        Some servers send the role, which is no token, as soon as they have the request.
        """
        text: str | None = ""
        while text is not None and not self.begun:
            text = await self.next(chunks)
        return text

    async def next(self, chunks: AsyncIterator[ChatCompletionChunk]) -> str | None:
        """Return the next chunk's text, which may be empty; None at the end."""
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
        return "".join(map(self._read_choice, getattr(chunk, "choices", None) or []))

    def _read_choice(self, choice: Any) -> str:
        self.finish_reason = getattr(choice, "finish_reason", None) or self.finish_reason
        delta = getattr(choice, "delta", None)
        if delta is not None and not self.begun:
            self.begun = any(delta.model_dump(exclude={"role"}).values())
        self.begun = self.begun or self.finish_reason is not None
        text = str(getattr(delta, "content", None) or "")
        # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return text if text.isascii() else text.encode("utf-8", "replace").decode()
