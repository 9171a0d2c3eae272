"""A watch for a microphone that is silent or clips; it logs each change once."""

from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.latch import Latch

log = structlog.get_logger(__name__)

SILENT_PEAK: Final = 2
"""Samples no larger than this (of 32768) are no sound: a muted input gives zeros, a bad converter
flickers in its last bit. The quietest room with a working microphone is louder."""
SILENT_S: Final = 10.0
"""Digital silence of this length is reported: no working microphone delivers so much."""
CLIPPED_FROM: Final = 32_700
"""Samples of at least this (of 32768) are clipped; resampling may lower a clipped top a little."""
CLIPPED_SHARE: Final = 0.001
"""Share of a second: 16 samples, the tops of one or two waves. Less is inaudible."""
CALM_S: Final = 10.0
"""After this time without clipping, it counts as over."""


class LevelWatch:
    """The watch of one stream, frame by frame in their order.

    It logs `microphone_silent`, `microphone_heard_again`, `microphone_clips` and
    `microphone_clips_no_more`.
    """

    def __init__(self) -> None:
        self._silent = 0.0  # samples at 16 kHz since the last sound
        self._is_silent = Latch(False)
        self._second = 0.0  # samples in the second that is being counted
        self._clipped = 0.0
        self._calm: float | None = (
            None  # samples since the last clipping second; None: it does not clip
        )

    def push(self, frame: NDArray[np.int16], rate: int = SAMPLE_RATE) -> None:
        """Take audio that the device recorded: samples, or (samples, channels), at `rate` Hz.

        The channels must not be averaged: a mean hides a channel that clips. Silence that stands
        for a device that is away must not be pushed.
        """
        largest = np.abs(frame.astype(np.int32))
        if largest.ndim > 1:
            largest = largest.max(axis=1)
        scale = SAMPLE_RATE / rate
        self._watch_silence(scale * len(frame), int(largest.max(initial=0)))
        clipped = int(np.count_nonzero(largest >= CLIPPED_FROM))
        self._watch_clipping(scale * len(frame), scale * clipped)

    def _watch_silence(self, count: float, peak: int) -> None:
        if peak > SILENT_PEAK:
            self._silent = 0.0
            if self._is_silent.change_to(False):
                log.info("microphone_heard_again")
            return
        self._silent += count
        if self._silent >= SILENT_S * SAMPLE_RATE and self._is_silent.change_to(True):
            log.warning(
                "microphone_silent",
                for_s=SILENT_S,
                hint="it delivers digital silence: is it muted, or its gain at zero?",
            )

    def _watch_clipping(self, count: float, clipped: float) -> None:
        self._second += count
        self._clipped += clipped
        if self._second < SAMPLE_RATE:
            return
        if self._clipped >= CLIPPED_SHARE * self._second:
            if self._calm is None:
                log.warning(
                    "microphone_clips",
                    share=round(self._clipped / self._second, 4),
                    hint="it is too loud for its range: lower its gain, or speak farther from it",
                )
            self._calm = 0.0
        elif self._calm is not None:
            self._calm += self._second
            if self._calm >= CALM_S * SAMPLE_RATE:
                self._calm = None
                log.info("microphone_clips_no_more")
        self._second = self._clipped = 0.0
