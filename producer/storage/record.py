"""What an outbox keeps of one utterance."""

from dataclasses import dataclass, replace
from typing import Self

from common.utterance import Utterance


@dataclass(frozen=True, slots=True)
class Record:
    """An utterance that waits, and when its speech ended."""

    utterance: Utterance
    spoken_s: float
    """By the clock of this boot (`boot_clock.py`)."""
    wall_s: float
    """By the wall clock: for people only, no age is counted from it."""
    parked: str = ""
    """Why Redis will never accept it."""

    def renamed(self, utterance: str) -> Self:
        """Return it under a new id, as an utterance that begins a turn of its own."""
        return replace(self, utterance=rename(self.utterance, utterance))


def rename(utterance: Utterance, to: str) -> Utterance:
    """Return an utterance under a new id: it is whole, and none of it was sent as a draft."""
    return utterance.model_copy(update={"id": to, "revision": 1, "final": True})
