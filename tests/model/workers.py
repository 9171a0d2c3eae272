"""Workers of the model: one entry at a time, claimed, worked on, settled, or left lying.

Reclaiming ignores how long an entry was idle: the scheduler's choice stands for time passing, so
that every worker may find its claim gone at any moment and goes on as a zombie. Around each
fenced call the state of the claim is looked up: who has lost it must change nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from redis.exceptions import OutOfMemoryError, ResponseError

from common.keys import DEFERRED
from common.transitions.claims import (
    Claim,
    Failed,
    RetryRule,
    Settled,
    hand_back,
    heartbeat,
    leave,
    take_over,
)
from tests.model.actors import Actor, ReplyLost
from tests.model.simulation import GROUPS, SHARD, Simulation

Answer = TypeVar("Answer")
Fields = Mapping[bytes, bytes]


class Worker(Actor):
    """One task of a worker process; tasks of one process share its consumer name."""

    streams: Sequence[str] = ()

    def __init__(self, simulation: Simulation, consumer: str) -> None:
        super().__init__(simulation.fresh(f"{consumer}/"))
        self.simulation = simulation
        self.consumer = consumer
        self.idle = False  # it found nothing to do when it looked last

    async def live(self) -> None:
        while not self.stopping:
            try:
                await self.work()
            except ReplyLost:
                continue
        for stream in self.streams:
            await self.simulation.insist(partial(self.leave, stream))

    async def leave(self, stream: str) -> None:
        left = await leave(self.simulation.store, stream, GROUPS[stream], self.consumer)
        self.simulation.answered("leave", str(int(left)), f"{stream} by {self.name}")

    async def work(self) -> None:
        """Take what there is to take, and deal with it."""
        first, second = self.read, self.reclaim
        if self.simulation.likely(0.4):
            first, second = second, first
        taken = await first() or await second()
        self.idle = taken is None
        if taken is None:
            return
        claim, fields = taken
        self.simulation.note(f"{self.name} has {claim.stream} {claim.entry}")
        if self.simulation.likely(0.2):
            await self.beat(claim)
        if self.simulation.likely(self.simulation.chances.hand_back):
            await self.call_fenced(claim, self.hand_back)
        elif not self.simulation.likely(self.simulation.chances.abandon):
            await self.handle(claim, fields)

    async def handle(self, claim: Claim, fields: Fields) -> None:
        raise NotImplementedError

    async def read(self) -> tuple[Claim, Fields] | None:
        """One new entry, the first stream's before the second's."""
        for stream in self.streams:
            group = GROUPS[stream]
            command = ("GROUP", group, self.consumer, "COUNT", 1, "STREAMS", stream, ">")
            answer = await self.command(stream, "XREADGROUP", *command)
            if answer:
                entry, fields = answer[0][1][0]
                return self.claim(stream, entry), paired(fields)
        return None

    async def reclaim(self) -> tuple[Claim, Fields] | None:
        """Any entry that somebody holds, be it this very worker's, whose reply was lost."""
        if self.simulation.fails and self.simulation.failing.random() < 0.5:
            return await self.take_over()
        for stream in self.streams:
            if not (held := self.simulation.pending(stream)):
                continue
            entry, _ = self.simulation.rng.choice(held)
            command = (GROUPS[stream], self.consumer, 0, entry)
            answer = await self.command(stream, "XCLAIM", *command)
            if answer and answer[0] is not None and answer[0][1] is not None:
                return self.claim(stream, answer[0][0]), paired(answer[0][1])
            await self.let_go_if_gone(stream, entry)
        return None

    async def take_over(self) -> tuple[Claim, Fields] | None:
        """The same by the script that workers run."""
        for stream in self.streams:
            taken = await self.simulation.call(partial(self.take_over_from, stream))
            if taken is not None:
                return taken
        return None

    async def take_over_from(self, stream: str) -> tuple[Claim, Fields] | None:
        held = self.simulation.pending(stream)
        try:
            taken = await take_over(
                self.simulation.store,
                stream,
                GROUPS[stream],
                self.consumer,
                claim_idle_s=0,
                limit=1,
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            return None
        kinds = {entry.kind for entry in taken.entries}
        about = f"{stream} by {self.name}: {[entry.entry for entry in taken.entries]}"
        self.simulation.answered("take_over", "".join(kinds), about)
        there = {entry for entry, _ in held if self.simulation.do("XRANGE", stream, entry, entry)}
        self.simulation.check(
            bool(taken.entries) == bool(there)
            and all(self.holds(self.claim_of(stream, one.entry)) for one in taken.entries)
            and not there & set(taken.vanished)
            and not any(self.simulation.pending(stream, entry) for entry in taken.vanished),
            f"{taken} was taken over of {held}",
        )
        if not taken.entries:
            return None
        return self.claim_of(stream, taken.entries[0].entry), taken.entries[0].fields

    def claim_of(self, stream: str, entry: str) -> Claim:
        return Claim(SHARD, stream, entry, self.consumer)

    async def let_go_if_gone(self, stream: str, entry: str) -> None:
        """Redis 6.2 leaves claims on entries that are gone.

        Looked up and acknowledged in one step: in between, the entry could come back.
        """

        async def send() -> None:
            if not self.simulation.do("XRANGE", stream, entry, entry):
                self.simulation.do("XACK", stream, GROUPS[stream], entry)

        await self.simulation.call(send)

    async def command(self, stream: str, name: str, *arguments: str | int) -> list[Any]:
        """A command of a consumer group; a lost group is made again from the start."""
        prefix: tuple[str, ...] = () if name == "XREADGROUP" else (stream,)

        async def send() -> list[Any]:
            answer: list[Any] | None = self.simulation.do(name, *prefix, *arguments)
            return answer or []

        try:
            return await self.simulation.call(send)
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self.make_group(stream)
            return []

    async def make_group(self, stream: str) -> None:
        async def send() -> None:
            try:
                self.simulation.do("XGROUP", "CREATE", stream, GROUPS[stream], "0", "MKSTREAM")
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

        with suppress(OutOfMemoryError):  # another time
            await self.simulation.call(send)

    def claim(self, stream: str, entry: bytes) -> Claim:
        return Claim(SHARD, stream, entry.decode(), self.consumer)

    def holds(self, claim: Claim) -> bool:
        return bool(self.simulation.pending(claim.stream, claim.entry, claim.consumer))

    async def call_fenced(
        self, claim: Claim, what: Callable[[Claim, bool], Awaitable[Answer]]
    ) -> Answer:
        """Call `what` with the claim and with whether it is still ours, which it may check."""
        return await self.simulation.call(lambda: what(claim, self.holds(claim)))

    async def beat(self, claim: Claim) -> None:
        async def send(claim: Claim, held: bool) -> None:
            group = GROUPS[claim.stream]
            lost = await heartbeat(
                self.simulation.store, claim.stream, group, claim.consumer, [claim.entry]
            )
            self.simulation.answered("heartbeat", "lost" if lost else "ok", f"by {self.name}")
            # from Redis 7.0 on, claiming an entry that is gone lets go of it
            there = self.simulation.do("XRANGE", claim.stream, claim.entry, claim.entry)
            self.simulation.check(
                lost == (set() if held else {claim.entry})
                and (self.holds(claim) == held or not there),
                f"a heartbeat answered that {lost} were lost when the claim was held: {held}",
            )

        await self.call_fenced(claim, send)

    async def hand_back(self, claim: Claim, held: bool) -> None:
        group = GROUPS[claim.stream]
        count = await hand_back(
            self.simulation.store, claim.stream, group, claim.consumer, [claim.entry]
        )
        self.simulation.answered("hand_back", str(count), f"{claim.entry} by {self.name}")
        self.simulation.check(
            count == int(held),
            f"{count} entries were handed back when the claim was held: {held}",
        )

    def retry_rule(self) -> RetryRule:
        """Entries are deferred for no time: the scheduler's choice stands for time passing."""
        limit = self.simulation.failing.choice((1, 2, 99))
        return RetryRule(limit=limit, first_pause_s=0, longest_pause_s=0)

    def check_failed(
        self, name: str, claim: Claim, held: bool, named: bool | None, failed: Failed | Settled
    ) -> None:
        """Note how a failure was answered. Whoever has lost the claim changes nothing.

        An entry goes if it is not `named`: no turn waits for it (None: nobody can tell).
        """
        deferred = isinstance(failed, Failed) and failed.pause_s is not None
        answer = "deferred" if deferred else "limit"
        if isinstance(failed, Settled):
            answer = failed.value
        self.simulation.answered(name, answer, f"{claim.entry} by {self.name}")
        rows = self.simulation.pending(claim.stream, claim.entry)
        # from Redis 7.0 on, claiming an entry that is gone lets go of it
        gone = not self.simulation.do("XRANGE", claim.stream, claim.entry, claim.entry)
        self.simulation.check(
            (failed is Settled.LOST) == (not held)
            and (named is None or (failed is Settled.STALE) == (held and not named))
            and (deferred == (rows == [(claim.entry, DEFERRED)] and held) or gone)
            and self.holds(claim) == (answer == "limit"),
            f"{name} answered {failed} when the claim was held: {held}, a turn waited for it:"
            f" {named}, and it is with {rows}",
        )


def paired(flat: Sequence[bytes]) -> Fields:
    """Field, value, field, value... as Redis answers them."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
