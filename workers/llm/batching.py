"""Gathering the pieces of a stream: the first at once, the rest at intervals."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress


class Gathered:
    """Text that has come and was not taken yet.

    White space at both ends of the whole text is never given out, so that what was taken, put
    together, is the text as it will stand in the reply.
    """

    def __init__(self) -> None:
        self._text = ""
        self._begun = False

    def add(self, piece: str) -> bool:
        """Take a piece in; whether there is something to take out."""
        self._text += piece
        return bool(self._text.strip())

    def take(self) -> str:
        """All of it, except white space that nothing has followed yet."""
        text = self._text if self._begun else self._text.lstrip()
        body = text.rstrip()
        if body:
            self._begun = True
            self._text = text[len(body) :]
        return body


async def coalesced(
    pieces: AsyncGenerator[str, None], interval_s: float
) -> AsyncGenerator[str, None]:
    """The text of `pieces` in batches: the first piece at once, then one every `interval_s`.

    `pieces` is read on while a batch is being worked on, and closed when this is closed (close
    it: `contextlib.aclosing`). What `pieces` raises is raised here, at once.
    """
    gathered = Gathered()
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def gather() -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if gathered.add(piece):
                        waiting.set()
        finally:
            ended.set()
            waiting.set()

    gathering = asyncio.create_task(gather())
    try:
        while True:
            await waiting.wait()
            waiting.clear()
            over = ended.is_set()
            if over:
                await gathering  # raises what ended it
            if batch := gathered.take():
                yield batch
            if over:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await ended.wait()
    finally:
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)
