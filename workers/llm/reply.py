"""One streamed reply: its text, how it ended, what it used."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel, ValidationError

USAGE_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a reply ended: `model` as the server names it, `usage` in tokens if it counted them."""

    finish_reason: str
    model: str
    usage: Mapping[str, int] | None = None


class OddChunk(Exception):
    """A chunk of a stream has a shape in which no text can be found."""


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
        """Return the next chunk's text, which may be empty; None at the end. Raises OddChunk."""
        try:
            chunk = await anext(chunks)
            return self._read(chunk)
        except StopAsyncIteration:
            return None
        except (AttributeError, TypeError, ValidationError) as error:
            # in the SDK, or here: neither knows what else a server may send
            # its words may hold what the chunk holds, which is speech
            raise OddChunk(type(error).__name__) from None

    def _read(self, chunk: Any) -> str:
        model = getattr(chunk, "model", None)
        self.model = model if isinstance(model, str) and model else self.model
        if (usage := _read_usage(getattr(chunk, "usage", None))) is not None:
            self.usage = usage
        choices = getattr(chunk, "choices", None)
        return "".join(map(self._read_choice, choices if isinstance(choices, list) else []))

    def _read_choice(self, choice: Any) -> str:
        reason = getattr(choice, "finish_reason", None)
        self.finish_reason = str(reason) if reason else self.finish_reason
        delta = getattr(choice, "delta", None)
        if isinstance(delta, str):
            delta = SimpleNamespace(content=delta)
        if delta is not None and not self.begun:
            fields = dict(delta) if isinstance(delta, BaseModel) else vars(delta)
            self.begun = any(value for name, value in fields.items() if name != "role")
        self.begun = self.begun or self.finish_reason is not None
        text = _read_content(getattr(delta, "content", None))
        # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _read_content(content: Any) -> str:
    """Return the text of a delta: a string, or parts that hold strings."""
    if isinstance(content, list):
        return "".join(
            str(part.get("text") or "") if isinstance(part, dict) else _read_content(part)
            for part in content
        )
    return content if isinstance(content, str) else ""


def _read_usage(usage: Any) -> dict[str, int] | None:
    """Return the counts of a usage; None if it holds none. A count that is no number is 0."""
    if usage is None:
        return None
    counts = {
        name: value if isinstance(value := getattr(usage, name, None), int) and value > 0 else 0
        for name in USAGE_COUNTS
    }
    return counts if any(counts.values()) else None
