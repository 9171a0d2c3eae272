"""Work that ends early when a stop is asked for."""

import asyncio
from collections.abc import Awaitable


async def run_until_stopped(stop: asyncio.Event, work: Awaitable[object]) -> bool:
    """Run `work` until it is done or `stop` is set; return whether it was done.

    Raises what `work` raises. If `stop` comes first, the work is cancelled and awaited, so that its
    clean-up has run when this returns.
    """
    task = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        await task
        return True
    finally:
        task.cancel()
        stopping.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
