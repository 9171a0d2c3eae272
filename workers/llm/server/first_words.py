"""The first words of a model that is not known yet: gathered for a moment before anybody sees them.

Whether they are a thought without its first tag shows only at its last tag. This finds out where a
server sends a whole answer at once, or where the thought is short.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from workers.llm.answers.thoughts import Split, join_splits

HOLD_S: Final = 0.3
"""Nobody minds so short a wait, and it is needed for the first reply of a worker only."""


async def gather_first_words(
    splits: AsyncGenerator[Split, None], hold_s: float = HOLD_S
) -> AsyncGenerator[Split, None]:
    """Yield the same splits; those within `hold_s` seconds of the first text as one."""
    loop = asyncio.get_running_loop()
    async with aclosing(splits):
        gathered = Split()
        async for split in splits:
            if split.text:
                gathered = split
                break
            yield split
        else:
            return
        ends_at = loop.time() + hold_s
        coming: asyncio.Task[Split | None] | None = None
        try:
            while True:
                coming = coming or asyncio.create_task(_next(splits))
                if not (await asyncio.wait({coming}, timeout=ends_at - loop.time()))[0]:
                    break
                split_or_end, coming = coming.result(), None
                if split_or_end is None:
                    break
                gathered = join_splits(gathered, split_or_end)
            yield gathered
            if coming is not None:
                following, coming = await coming, None
                if following is not None:
                    yield following
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
        async for split in splits:
            yield split


async def _next(splits: AsyncGenerator[Split, None]) -> Split | None:
    return await anext(splits, None)
