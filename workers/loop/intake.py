"""Taking work in: new entries and those left behind, one reader per shard, never without room."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from common.redis.failures import is_no_group, is_unusable
from common.redis.link import FIRST_PAUSE_S, Link, jittered
from workers.loop.handler import Work
from workers.loop.in_hand import Hand, Held
from workers.loop.reader import Reader

RECLAIM_EVERY_S: Final = 0.5
ROOM_EVERY_S: Final = 0.25
# A shard that does not answer is waited for at the head of the line this long only.
LINE_S: Final = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trouble:
    """What keeps failing, though Redis is there: told once, and tried ever more seldom."""

    told: str = ""
    pause_s: float = FIRST_PAUSE_S


class Intake:
    """Fills the hand.

    Every read that claims waits in one line, first come first served, and whoever is at its head
    waits for room: a busy worker looks after what was left behind as often as it takes new work,
    and no shard starves another. Only the wait on an empty shard happens outside of the line.

    `limit` is how many entries may be in hand now; `begin` starts work on one.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        hand: Hand,
        link: Link,
        *,
        limit: Callable[[], int],
        begin: Callable[[Reader, Held], None],
        max_pause_s: float,
    ) -> None:
        self._readers = readers
        self._hand = hand
        self._link = link
        self._limit = limit
        self._begin = begin
        self._max_pause_s = max_pause_s
        self._line = asyncio.Lock()
        self._room = asyncio.Event()
        self._stopping = False

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run for as long as work is taken in."""
        return [task(reader) for reader in self._readers for task in (self._read, self._reclaim)]

    def look_again(self) -> None:
        """Say that there may be room."""
        self._room.set()

    def stop(self) -> None:
        """Take nothing more; what a read under way still brings is given back."""
        self._stopping = True
        self._room.set()

    def _space(self) -> int:
        # suspicious work is to have no neighbours, and a neighbour that waits is one, too
        if self._stopping or self._hand.wants_solitude:
            return 0
        return self._limit() - len(self._hand)

    async def _wait_for_room(self) -> bool:
        """True once there is room; False when the worker stops."""
        while not self._stopping:
            if self._space() > 0:
                return True
            self._room.clear()
            with suppress(TimeoutError):
                # also by time: the limit changes without a word
                async with asyncio.timeout(ROOM_EVERY_S):
                    await self._room.wait()
        return False

    async def _read(self, reader: Reader) -> None:
        trouble = Trouble()
        while not self._stopping:
            if await self._in_line(reader, reader.waiting, trouble):
                continue
            if self._space() > 0:
                await self._keep(reader, await self._attempt(reader, reader.next, trouble))

    async def _reclaim(self, reader: Reader) -> None:
        trouble = Trouble()
        while not self._stopping:
            if not await self._in_line(reader, partial(self._left_behind, reader), trouble):
                await asyncio.sleep(RECLAIM_EVERY_S)

    async def _left_behind(self, reader: Reader) -> list[Work]:
        return await reader.left_behind(max(1, self._space()))

    async def _in_line(
        self, reader: Reader, read: Callable[[], Awaitable[list[Work]]], trouble: Trouble
    ) -> bool:
        """One read when it is its turn and there is room; whether it brought anything."""
        async with self._line:
            if not await self._wait_for_room():
                return False
            reading = asyncio.create_task(self._attempt(reader, read, trouble))
            try:
                await asyncio.wait({reading}, timeout=LINE_S)
                if reading.done():
                    return await self._keep(reader, reading.result())
            except asyncio.CancelledError:
                reading.cancel()
                raise
        return await self._keep(reader, await reading)

    async def _attempt(
        self, reader: Reader, read: Callable[[], Awaitable[list[Work]]], trouble: Trouble
    ) -> list[Work]:
        """One read; what goes wrong is waited out, never spun on."""
        try:
            works = await read()
        except Exception as error:
            if is_no_group(error):
                log.warning("group_lost", streams=list(reader.streams))
                return await self._attempt(reader, partial(self._heal, reader), trouble)
            if is_unusable(error):
                await self._link.pause()
            else:
                await self._sit_out(reader, error, trouble)
            return []
        trouble.told, trouble.pause_s = "", FIRST_PAUSE_S
        return works

    async def _sit_out(self, reader: Reader, error: Exception, trouble: Trouble) -> None:
        what = f"{type(error).__name__}: {error}"
        if what != trouble.told:
            trouble.told = what
            log.error("read_failed", streams=list(reader.streams), exc_info=error)
        await asyncio.sleep(jittered(trouble.pause_s))
        trouble.pause_s = min(trouble.pause_s * 2, self._max_pause_s)

    async def _heal(self, reader: Reader) -> list[Work]:
        await self._link.pause()
        await reader.make_groups()
        return []

    async def _keep(self, reader: Reader, works: Sequence[Work]) -> bool:
        """Begin what there is room for.

        The rest is given back before that, its delivery uncounted: entries that kill their
        workers come back together with others that do not.
        """
        kept, rest = [], []
        for work in works:
            if self._space() <= 0:
                rest.append(work)
            elif (held := self._hand.take(work)) is not None:
                kept.append(held)
        await self._hand.give_back(*rest)
        for held in kept:
            self._begin(reader, held)
        return bool(works)
