"""Any rate and any number of channels to 16 kHz mono int16, block by block."""

import numpy as np
import soxr
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE, to_int16


class Resampler:
    """The conversion of one stream to 16 kHz mono: channels averaged, then resampled by soxr (HQ).

    It keeps its state from block to block, so blocks leave no seams. At 16 kHz the samples stay
    unchanged.
    """

    def __init__(self, rate: int) -> None:
        self._soxr = (
            None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32")
        )

    def push(self, block: NDArray[np.float32]) -> NDArray[np.int16]:
        """Convert samples of -1 to 1, shape (samples, channels), at the stream's rate."""
        # a float WAV may hold an infinity: it counts as full scale
        block = np.nan_to_num(block, posinf=1.0, neginf=-1.0)
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
        return self._convert(np.ascontiguousarray(mono), last=False)

    def finish(self) -> NDArray[np.int16]:
        """Return what the filter still holds; nothing may be pushed afterwards."""
        return self._convert(np.empty(0, np.float32), last=True)

    def _convert(self, mono: NDArray[np.float32], *, last: bool) -> NDArray[np.int16]:
        return to_int16(mono if self._soxr is None else self._soxr.resample_chunk(mono, last=last))
