"""What the consumer loop and a role's handler say to each other."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, Unpack

from common.keys import Shard
from common.status.worker_record import WorkerChanges
from common.transitions.claims import Claim, Settled

Answer = TypeVar("Answer")

Kind = Literal["new", "handed_back", "abandoned", "again"]


@dataclass(frozen=True, slots=True)
class Work:
    """One entry in hand. `deliveries` counts from 1 and includes this one; `kind` says which it is:
    the first, after another worker gave it back or died, or after a failure of ours."""

    claim: Claim
    fields: Mapping[bytes, bytes]
    deliveries: int
    kind: Kind = "new"

    @property
    def is_suspicious(self) -> bool:
        """Whether it may be what kills its workers: delivered twice, and it came back.

        Deliveries count deaths only roughly, so such work runs with no neighbour to take along.
        """
        return self.deliveries > 2


class Desk(Protocol):
    """What the loop offers to a handler while it works."""

    async def lasting(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run a transition, again and again while Redis is away (it is idempotent or fenced).

        Raises Lost when the claim passed on meanwhile, and whatever else the transition raises.
        """
        ...

    async def once(self, transition: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run a transition that the work can do without; every error passes on."""
        ...

    def update_record(self, **changes: Unpack[WorkerChanges]) -> None:
        """Change the worker's published record (what it waits for, say); None removes a value."""
        ...


class Handler(Protocol):
    """One role's part: everything that is not about claims."""

    role: str
    group: str
    concurrency: int

    def streams(self, shard: Shard) -> Sequence[str]:
        """The streams of a shard in order of precedence: the second is read while the first is
        empty."""
        ...

    async def start(self, desk: Desk) -> None:
        """Load and warm what is needed; nothing is claimed before. Raises EarshotError."""
        ...

    async def handle(self, work: Work, desk: Desk) -> Settled:
        """Do the work and settle it.

        Raises Transient (kept and tried again; a handler that says `opens_breaker` makes the
        worker hand everything back and probe), Permanent or BadEntry (buried at once), Lost;
        anything else is a bug: tried `max_deliveries` times, then buried.
        """
        ...

    async def bury(self, work: Work, desk: Desk, *, reason: str, error: str) -> Settled | None:
        """Move the work to the dead letters; None where there was nothing to move any more."""
        ...

    async def probe(self) -> None:
        """Ask whether the server behind this role is usable again; raises Transient if not."""
        ...

    async def close(self) -> None:
        """Let go of connections and models."""
        ...
