"""The text of a reply comes piece by piece; its end is known when the server has ended it."""

from collections.abc import AsyncGenerator

import pytest

from workers.llm.answers.finished import Finished
from workers.llm.reply import ReplyText

DONE = Finished("stop", "m", {"total_tokens": 3})


class Server:
    """Sends `parts`, raises those that are errors, and notes when it is closed."""

    def __init__(self, *parts: str | Finished | Exception) -> None:
        self._parts = parts
        self.closed = False

    async def generate(self) -> AsyncGenerator[str | Finished, None]:
        try:
            for part in self._parts:
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            self.closed = True


async def test_the_pieces_are_the_text_and_the_end_is_kept() -> None:
    server = Server("one ", "two", DONE)
    reply = ReplyText(server.generate())
    assert [piece async for piece in reply.pieces()] == ["one ", "two"]
    assert reply.finished == DONE
    assert server.closed


async def test_a_reply_that_breaks_off_has_no_end() -> None:
    server = Server("one ", ValueError("broken"))
    reply = ReplyText(server.generate())
    with pytest.raises(ValueError, match="broken"):
        _ = [piece async for piece in reply.pieces()]
    assert reply.finished is None
    assert server.closed


async def test_closing_the_pieces_closes_the_stream() -> None:
    server = Server("one ", "two", DONE)
    reply = ReplyText(server.generate())
    pieces = reply.pieces()
    assert await anext(pieces) == "one "
    await pieces.aclose()
    assert server.closed
    assert reply.finished is None
