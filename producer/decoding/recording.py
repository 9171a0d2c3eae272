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


def damage(name: str, done_s: float, why: str) -> BadInput:
    """Return the error of a recording that cannot be decoded beyond `done_s`."""
    if not done_s:
        return BadInput(f"{name} is damaged, and nothing of it can be used ({why})")
    return BadInput(f"{name} is damaged after {done_s:.1f} s ({why}); what came before was used")
