"""What every reader of a file format delivers."""

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import BadInput

BLOCK_S: Final = 1.0
"""Audio read at a time: memory stays the same for a word and for three hours."""


class Block(NamedTuple):
    """Samples that follow each other: float32 of -1 to 1, shape (samples, channels), at `rate` Hz.

    The rate and the number of channels may change from block to block.
    """

    rate: int
    samples: NDArray[np.float32]


class Recording(Protocol):
    """An open recording."""

    @property
    def duration_s(self) -> float:
        """Length in seconds by the header; 0 if the header lacks it."""

    def blocks(self) -> Iterator[Block]:
        """Yield all audio once; raises `BadInput` where the file turns out to be damaged."""

    def close(self) -> None: ...


CUT_SHORT_S: Final = 1.0
"""A recording may be shorter than its header says, by an encoder's padding, but never by so much.
"""


class DamagedRecording(BadInput):
    """A recording that is damaged; `why` is the reason alone."""

    def __init__(self, sentence: str, why: str) -> None:
        super().__init__(sentence)
        self.why = why


class Damage:
    """What was found damaged in a recording while it was read, as one sentence at its end.

    Reading goes on behind a damaged place. Times are in s of what was decoded.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._done_s = 0.0
        self._first: tuple[float, str] | None = None

    def reach(self, done_s: float) -> None:
        """Note that the recording was decoded as far as this."""
        self._done_s = done_s

    def note(self, why: str) -> None:
        """Note that it is damaged here."""
        if self._first is None:
            self._first = self._done_s, why

    def note_error(self, error: BadInput) -> None:
        """Note the damage that another reader has reported about a part of it."""
        self.note(getattr(error, "why", str(error)))

    def finish(self, stated_s: float = 0.0, tolerance_s: float = CUT_SHORT_S) -> None:
        """Raise `BadInput` if it is damaged, or shorter than the length that it states, if any."""
        done_s = self._done_s
        if stated_s and not done_s and self._first is None:
            self.note("no audio is found behind its header")
        is_cut = stated_s - done_s > CUT_SHORT_S
        if self._first is None:
            if is_cut:
                raise DamagedRecording(
                    f"{self._name} is damaged: it ends after {done_s:.1f} s of {stated_s:.1f} s;"
                    " what came before was used",
                    "it ends too early",
                )
            if stated_s - done_s > tolerance_s:
                raise DamagedRecording(
                    f"{self._name} is damaged: {stated_s - done_s:.2f} s of its {stated_s:.1f} s"
                    " are missing; the rest was used",
                    "a part of it is missing",
                )
            return
        at_s, why = self._first
        if at_s == done_s:
            raise damage(self._name, at_s, why)
        end = (
            f" and ends after {done_s:.1f} s of {stated_s:.1f} s; what came before"
            if is_cut
            else f"; the rest of its {done_s:.1f} s"
        )
        raise DamagedRecording(
            f"{self._name} is damaged after {at_s:.1f} s ({why}){end} was used", why
        )


class UnknownFormat(BadInput):
    """A library does not read the file."""


def damage(name: str, done_s: float, why: str) -> DamagedRecording:
    """Return the error of a recording that cannot be decoded beyond `done_s`."""
    if not done_s:
        return DamagedRecording(f"{name} is damaged, and nothing of it can be used ({why})", why)
    return DamagedRecording(
        f"{name} is damaged after {done_s:.1f} s ({why}); what came before was used", why
    )
