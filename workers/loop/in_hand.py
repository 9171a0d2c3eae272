"""The entries in hand: who works on what, and the heartbeats that keep them ours."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

import structlog

from common.redis.link import Link
from common.redis.store import Store
from common.transitions.claims import hand_back, heartbeat
from workers.loop.handler import Work

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Held:
    """One entry in hand. `lost` is set when the claim turned out to be another's.

    `alone`: it was suspicious when it came, and runs without neighbours. `in_transition`: Redis is
    being told what becomes of it, and its answer says whose it is.
    """

    work: Work
    alone: bool
    task: "asyncio.Task[None] | None" = None
    lost: bool = False
    in_transition: bool = False


@dataclass(slots=True)
class Hand:
    """All that one process holds."""

    store: Store
    link: Link
    group: str
    consumer: str
    held: dict[tuple[str, str], Held] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.held)

    @property
    def wants_solitude(self) -> bool:
        """Whether something in hand must have no neighbours."""
        return any(held.alone for held in self.held.values())

    def take(self, work: Work) -> Held | None:
        """Note an entry; None if it is in hand already (delivered twice to the same consumer)."""
        key = (work.claim.stream, work.claim.entry)
        if key in self.held:
            return None
        self.held[key] = Held(work, work.is_suspicious)
        return self.held[key]

    def release(self, held: Held) -> None:
        key = (held.work.claim.stream, held.work.claim.entry)
        if self.held.get(key) is held:
            del self.held[key]

    def _by_stream(self) -> dict[str, list[str]]:
        streams: dict[str, list[str]] = defaultdict(list)
        for stream, entry in self.held:
            streams[stream].append(entry)
        return streams

    async def beat(self) -> None:
        """One heartbeat for everything in hand; work on what was lost is stopped.

        Raises the first error after all streams had theirs: shards may be away one by one.
        """
        failure: Exception | None = None
        for stream, entries in self._by_stream().items():
            try:
                gone = await self.link.call(
                    heartbeat, self.store, stream, self.group, self.consumer, entries
                )
            except Exception as error:
                failure = failure or error
                continue
            for entry in gone:
                self.lose(stream, entry)
        if failure is not None:
            raise failure

    def lose(self, stream: str, entry: str) -> None:
        """Stop the work on an entry whose claim passed on: its result would change nothing.

        One that is just being settled is no longer ours either, and not lost.
        """
        held = self.held.get((stream, entry))
        if held is None or held.lost or held.in_transition:
            return
        held.lost = True
        log.warning("claim_lost", stream=stream, entry=entry, note="another worker has it")
        if held.task is not None:
            held.task.cancel()

    async def give_back(self, *works: Work) -> None:
        """Let anybody have these entries at once, their delivery uncounted."""
        streams: dict[str, list[str]] = defaultdict(list)
        for work in works:
            streams[work.claim.stream].append(work.claim.entry)
        for stream, entries in streams.items():
            await self.link.lasting(
                hand_back, self.store, stream, self.group, self.consumer, entries
            )
