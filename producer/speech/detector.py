"""Detectors: they tell speech from everything else, one frame at a time."""

from typing import Final, Protocol

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from common.settings import ListenSettings
from producer.sources.source import DEFAULT_FRAME_MS, frame_samples
from producer.speech.energy_gate import EnergyGate

DEFAULT_MODE: Final = ListenSettings().vad_mode


class Detector(Protocol):
    """A judge of one stream's frames in their order; it may remember earlier frames."""

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        """Return whether this frame (16 kHz mono) holds speech."""

    @property
    def is_sure(self) -> bool:
        """Whether the speech of the last frame is hardly anything else.

        A segment without sure frames is no utterance. A detector without degrees is always sure.
        """


class WebRtcDetector:
    """WebRTC's detector: about 0.25 ms of CPU per second of audio.

    `mode` 0 lets nearly everything through, 3 is the strictest. It follows the noise floor of its
    stream, so each stream needs an instance of its own.

    Raises `BadInput` for another mode or frame length, `ValueError` for a frame of another size.
    """

    def __init__(self, mode: int = DEFAULT_MODE, frame_ms: int = DEFAULT_FRAME_MS) -> None:
        if mode not in (0, 1, 2, 3):
            raise BadInput(f"the detector has no mode {mode}; choose 0 (lenient) to 3 (strict)")
        self._samples = frame_samples(frame_ms)
        self._vad = webrtcvad.Vad(mode)

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        if frame.shape != (self._samples,) or frame.dtype != np.int16:
            raise ValueError(
                f"a frame of {self._samples} int16 samples expected, got {frame.shape}"
            )
        return bool(self._vad.is_speech(frame.tobytes(), SAMPLE_RATE))

    @property
    def is_sure(self) -> bool:
        return True


class GatedDetector:
    """A detector whose speech must also stand out of the noise floor."""

    def __init__(self, detector: Detector, gate: EnergyGate) -> None:
        self._detector = detector
        self._gate = gate

    def is_speech(self, frame: NDArray[np.int16]) -> bool:
        """Return whether this frame holds speech. Both judge every frame, to follow the noise."""
        is_loud = self._gate.is_loud(frame)
        return self._detector.is_speech(frame) and is_loud

    @property
    def is_sure(self) -> bool:
        return self._detector.is_sure
