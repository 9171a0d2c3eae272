"""Who may run beside whom: ordinary work together, suspicious work alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Shared and exclusive passage; whoever waits to be alone keeps newcomers out."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._alone = False
        self._wishes = 0

    @property
    def wants_solitude(self) -> bool:
        """Whether work that must run alone is running or waiting."""
        return self._alone or self._wishes > 0

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Run beside others."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.wants_solitude)
            self._inside += 1
        try:
            yield
        finally:
            async with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Run with nobody else inside."""
        async with self._changed:
            self._wishes += 1
            try:
                await self._changed.wait_for(lambda: not self._alone and self._inside == 0)
                self._alone = True
            finally:
                self._wishes -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            async with self._changed:
                self._alone = False
                self._changed.notify_all()
