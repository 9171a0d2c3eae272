"""The text of one streamed reply."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from workers.llm.answers.finished import Finished


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
