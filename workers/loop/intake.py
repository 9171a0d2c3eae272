"""Taking entries in: new ones and those left behind, one reader per shard, never without room."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog

from common.backoff import Backoff
from common.latch import Latch
from common.redis.failures import is_no_group, is_unusable
from common.redis.link import FIRST_PAUSE_S
from workers.loop.handler import Delivery
from workers.loop.in_hand import EntriesInHand, EntryInHand
from workers.loop.reader import Reader

TAKE_OVER_EVERY_S: Final = 0.5
CHECK_ROOM_EVERY_S: Final = 0.25
TURN_S: Final = 0.5
"""A shard that does not answer holds up the other reads for this long only."""

Read = Callable[[], Awaitable[list[Delivery]]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ReadFailures:
    """Reads that fail although Redis is there: logged once, and tried less and less often."""

    backoff: Backoff
    logged: Latch[str] = field(default_factory=lambda: Latch(""))
    pause_s: float = 0.0

    def note(self, error: Exception, reader: Reader) -> None:
        """Note a failure, after which `pause` waits."""
        if self.logged.change_to(f"{type(error).__name__}: {error}"):
            log.error("read_failed", streams=list(reader.streams), exc_info=error)
        self.pause_s = self.backoff.next_pause()

    def end(self) -> None:
        """Note that a read has succeeded."""
        self.backoff.reset()
        self.logged.change_to("")

    async def pause(self) -> None:
        """Wait after a failure, if there was one since the last pause."""
        pause_s, self.pause_s = self.pause_s, 0.0
        if pause_s > 0:
            await asyncio.sleep(pause_s)


class Intake:
    """Takes entries in hand as long as there is room, and begins the work on them.

    Every read that claims waits for its turn, first come, first served, and then for room. So a
    busy worker takes over entries as often as it takes new ones, and no shard starves another.
    Only the wait for new entries on an empty shard needs no turn. Nor does a shard get one that is
    away: the reader waits until it is back, and pauses after failures, outside of the turn.

    `limit` is how many entries may be in hand now; `begin` starts work on one.
    """

    def __init__(
        self,
        readers: Sequence[Reader],
        in_hand: EntriesInHand,
        *,
        limit: Callable[[], int],
        begin: Callable[[Reader, EntryInHand], None],
        max_pause_s: float,
    ) -> None:
        self._readers = readers
        self._in_hand = in_hand
        self._limit = limit
        self._begin = begin
        self._max_pause_s = max_pause_s
        self._turn = asyncio.Lock()
        self._late: dict[Reader, asyncio.Task[list[Delivery]]] = {}
        self._room_may_have_changed = asyncio.Event()
        self._stopping = False

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run for as long as entries are taken."""
        return [
            task(reader) for reader in self._readers for task in (self._read_new, self._take_over)
        ]

    def recheck_room(self) -> None:
        """Look now whether there is room."""
        self._room_may_have_changed.set()

    def stop(self) -> None:
        """Take nothing more. What a read under way still brings is handed back."""
        self._stopping = True
        self.recheck_room()

    def _room(self) -> int:
        # an exclusive entry must have no neighbours, not even one that waits
        if self._stopping or self._in_hand.has_exclusive:
            return 0
        return self._limit() - len(self._in_hand)

    async def _wait_for_room(self) -> bool:
        """Return True once there is room, False when the worker stops."""
        while not self._stopping:
            if self._room() > 0:
                return True
            self._room_may_have_changed.clear()
            with suppress(TimeoutError):
                # also by time: nobody tells when the limit changes
                async with asyncio.timeout(CHECK_ROOM_EVERY_S):
                    await self._room_may_have_changed.wait()
        return False

    async def _read_new(self, reader: Reader) -> None:
        failures = ReadFailures(Backoff(FIRST_PAUSE_S, self._max_pause_s))
        while not self._stopping:
            await failures.pause()
            if await self._read_in_turn(reader, reader.read_available, failures):
                continue
            if self._room() > 0 and self._answers(reader) and failures.pause_s == 0:
                deliveries = await self._read(reader, reader.wait_for_new, failures)
                await self._begin_with(reader, deliveries)

    async def _take_over(self, reader: Reader) -> None:
        failures = ReadFailures(Backoff(FIRST_PAUSE_S, self._max_pause_s))

        async def take_over() -> list[Delivery]:
            return await reader.take_over(max(1, self._room()))

        while not self._stopping:
            await failures.pause()
            if not await self._read_in_turn(reader, take_over, failures):
                await asyncio.sleep(TAKE_OVER_EVERY_S)

    def _answers(self, reader: Reader) -> bool:
        return reader not in self._late and not reader.link.is_away

    async def _wait_for_answer(self, reader: Reader) -> None:
        """Return once the shard answers, or the worker stops."""
        while not (self._answers(reader) or self._stopping):
            if (late := self._late.get(reader)) is not None:
                await asyncio.wait({late})
                continue
            await reader.link.pause()
            try:
                await reader.probe()
            except Exception as error:
                if not is_unusable(error):
                    return  # it answers, if only with an error: the read will tell

    async def _read_in_turn(self, reader: Reader, read: Read, failures: ReadFailures) -> bool:
        """Wait for the turn and for room, and read once; return whether that brought anything."""
        await self._wait_for_answer(reader)
        async with self._turn:
            if not (await self._wait_for_room() and self._answers(reader)):
                return False
            reading = asyncio.create_task(self._read(reader, read, failures))
            try:
                await asyncio.wait({reading}, timeout=TURN_S)
                if reading.done():
                    return await self._begin_with(reader, reading.result())
            except asyncio.CancelledError:
                reading.cancel()
                raise
            self._late[reader] = reading
        try:
            return await self._begin_with(reader, await reading)
        finally:
            del self._late[reader]

    async def _read(self, reader: Reader, read: Read, failures: ReadFailures) -> list[Delivery]:
        """Read once. Return nothing after a failure, which `failures` notes if Redis is there."""
        try:
            deliveries = await read()
        except Exception as error:
            if is_no_group(error):
                log.warning("group_lost", streams=list(reader.streams))
                return await self._read(reader, partial(self._remake_groups, reader), failures)
            if not is_unusable(error):
                failures.note(error, reader)
            return []
        failures.end()
        return deliveries

    async def _remake_groups(self, reader: Reader) -> list[Delivery]:
        await reader.make_groups()
        return []

    async def _begin_with(self, reader: Reader, deliveries: Sequence[Delivery]) -> bool:
        """Begin the work that there is room for; return whether there was anything.

        Hands the rest back before that, its delivery uncounted: an entry that kills its workers
        may come together with others that do not.
        """
        begun, rest = [], []
        for delivery in deliveries:
            if self._room() <= 0:
                rest.append(delivery)
            elif (entry := self._in_hand.add(delivery)) is not None:
                begun.append(entry)
        await self._in_hand.hand_back(*rest)
        for entry in begun:
            self._begin(reader, entry)
        return bool(deliveries)
