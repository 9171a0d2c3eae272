"""Batches of a stream's text: the first piece at once, the rest at intervals."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress


class PendingText:
    """Text that has come and was not taken yet.

    White space at both ends of the whole text is never given out, so that all that was taken, put
    together, is the text as it will stand in the reply.
    """

    def __init__(self) -> None:
        self._text = ""
        self._begun = False

    def add(self, piece: str) -> bool:
        """Add a piece; return whether there is something to take."""
        self._text += piece
        return bool(self._text.strip())

    def take(self) -> str:
        """Take all of it, except white space that nothing has followed yet."""
        text = self._text if self._begun else self._text.lstrip()
        body = text.rstrip()
        if body:
            self._begun = True
            self._text = text[len(body) :]
        return body


async def batch_text(
    pieces: AsyncGenerator[str, None], interval_s: float
) -> AsyncGenerator[str, None]:
    """Yield the text of `pieces` in batches: the first piece at once, then one every `interval_s`.

    Goes on reading `pieces` while the caller works on a batch. Closes `pieces` when it is closed
    itself (close it: `contextlib.aclosing`). What `pieces` raises is raised here, at once.
    """
    pending = PendingText()
    something_came, ended = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if pending.add(piece):
                        something_came.set()
        finally:
            ended.set()
            something_came.set()

    reading = asyncio.create_task(read())
    try:
        while True:
            await something_came.wait()
            something_came.clear()
            is_last = ended.is_set()
            if is_last:
                await reading  # raises what ended it
            if batch := pending.take():
                yield batch
            if is_last:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await ended.wait()
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
