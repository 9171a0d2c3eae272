"""The contract between the consumer loop and the handler of a role."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, Unpack

from common.keys import Shard
from common.status.worker_record import WorkerChanges
from common.transitions.claims import Claim, Failed, RetryRule, Settled, TakeOverKind

Answer = TypeVar("Answer")

DeliveryKind = Literal["new"] | TakeOverKind


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry, as it was delivered to this worker.

    `number` counts the entry's deliveries, from 1, and includes this one; those that ended in a
    failure or were handed back are not counted. So it is 1 for the first worker, and one more for
    each worker that died with the entry. `kind` says
    where it comes from: it is the first, another worker handed the entry back or abandoned it, or
    it failed before and is tried again.
    """

    claim: Claim
    fields: Mapping[bytes, bytes]
    number: int
    kind: DeliveryKind = "new"

    @property
    def is_suspicious(self) -> bool:
        """Whether the entry may kill its workers: it was delivered twice, and came back.

        Deliveries count deaths only roughly. So such an entry runs alone, with no neighbour that
        it could take with it.
        """
        return self.number > 2


class HandlerContext(Protocol):
    """What the loop offers to a handler."""

    async def retry_until_answered(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run a transition, again and again while Redis is away: it is idempotent or fenced.

        Raises Lost when the claim has passed to another worker, and what the transition raises.
        """
        ...

    async def try_once(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run once a transition that the handler can do without. Raises every error of it."""
        ...

    def note_answer(self) -> None:
        """Note that the server has answered a request: it is usable.

        Called at once after the answer. To settle an entry without a request is no answer.
        """
        ...

    def update_record(self, **changes: Unpack[WorkerChanges]) -> None:
        """Change the worker's published record (what it waits for, say); None removes a value."""
        ...


class Handler(Protocol):
    """The part of one role: everything that is not about claims."""

    role: str
    group: str
    concurrency: int
    sessions_in_a_row: int
    """Failures of so many sessions in a row raise the question whether the server is usable."""
    grace_s: float
    """For so long an entry that failed is left to other workers, when it may be tried again (s)."""

    def streams(self, shard: Shard) -> Sequence[str]:
        """Return the streams of a shard; the second is read only while the first is empty."""
        ...

    async def start(self, context: HandlerContext) -> None:
        """Load and warm what is needed; nothing is claimed before. Raises EarshotError."""
        ...

    async def handle(self, delivery: Delivery, context: HandlerContext) -> Settled:
        """Do the work of an entry, and settle it.

        `workers/loop/decisions.py` says what each error means for the entry.
        """
        ...

    async def fail(
        self, delivery: Delivery, context: HandlerContext, rule: RetryRule
    ) -> Failed | Settled:
        """Count a try that failed, and defer the entry until it may be tried again.

        Raises BadEntry where the entry names nothing for which a failure could be counted.
        """
        ...

    async def bury(
        self, delivery: Delivery, context: HandlerContext, *, reason: str, error: str
    ) -> Settled | None:
        """Move the work to the dead letters; None where there was nothing left to move."""
        ...

    async def probe(self) -> None:
        """Look whether the server behind this role is usable; raises Transient if not."""
        ...

    async def ask_smallest(self) -> None:
        """Ask the server for the smallest answer; raises Transient if it answers nobody."""
        ...

    async def close(self) -> None:
        """Close connections, and release models."""
        ...
