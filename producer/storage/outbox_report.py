"""What an outbox reports about itself: what it holds, and what it had to drop."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many utterances had to go, the oldest first, and why."""

    count: int
    why: str

    def plus(self, count: int, why: str) -> "Dropped":
        """Return it with further ones, and their reason if it is another."""
        return Dropped(self.count + count, self.why if why == self.why else f"{self.why}, or {why}")


@dataclass(frozen=True, slots=True)
class Depth:
    """What an outbox holds: utterances that wait, parked ones, and the audio of both."""

    waiting: int
    parked: int
    size_bytes: int
    limit_bytes: int
    oldest_s: float
    """Since the end of speech of the oldest that waits; 0 if none does."""
    in_memory: int = 0
    """How many of those that wait are not on the disk, because it fails."""
    disk_works: bool = True
