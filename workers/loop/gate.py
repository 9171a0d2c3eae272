"""Which entries may run at the same time: ordinary ones together, a suspicious one alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets in what may be shared, or one exclusive entry, which keeps others out while it waits."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._sharing = 0
        self._is_exclusive = False
        self._exclusive_waiting = 0

    @property
    def is_closed(self) -> bool:
        """Whether an exclusive passage runs or waits: nothing shared may enter."""
        return self._is_exclusive or self._exclusive_waiting > 0

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Run at the same time as others."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.is_closed)
            self._sharing += 1
        try:
            yield
        finally:
            async with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Run with nobody else inside."""
        async with self._changed:
            self._exclusive_waiting += 1
            try:
                await self._changed.wait_for(lambda: not self._is_exclusive and self._sharing == 0)
                self._is_exclusive = True
            finally:
                self._exclusive_waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            async with self._changed:
                self._is_exclusive = False
                self._changed.notify_all()
