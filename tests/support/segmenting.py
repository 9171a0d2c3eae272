"""Audio and verdicts for a segmenter, and the events that it makes of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.speech.endpointing import PRESETS, Endpointing
from producer.speech.segmenter import (
    Segmenter,
    SegmentEvent,
    Skipped,
    SpeechSegment,
)

FRAME = 160  # samples: 10 ms
FRAME_S = FRAME / SAMPLE_RATE
CONVERSATION = PRESETS["conversation"]


@dataclass(frozen=True)
class Run:
    stream: NDArray[np.int16]
    events: list[SegmentEvent]

    @property
    def segments(self) -> list[SpeechSegment]:
        return [event for event in self.events if isinstance(event, SpeechSegment)]

    @property
    def skipped(self) -> list[Skipped]:
        return [event for event in self.events if isinstance(event, Skipped)]


def cut(
    voiced: list[bool],
    endpointing: Endpointing,
    stream: NDArray[np.int16] | None = None,
    sure: list[bool] | None = None,
) -> Run:
    """Runs one frame per flag through a fresh segmenter, and ends the stream."""
    if stream is None:
        stream = np.resize(np.arange(30_011, dtype=np.int16), len(voiced) * FRAME)
    segmenter = Segmenter(endpointing, FRAME)
    events: list[SegmentEvent] = []
    for index, flag in enumerate(voiced):
        frame = stream[index * FRAME : (index + 1) * FRAME]
        events += segmenter.push(frame, flag, sure is None or sure[index])
    return Run(stream, events + segmenter.finish())


def flags(*stretches: tuple[bool, float]) -> list[bool]:
    """Stretches of (voiced, seconds) as one flag per frame."""
    return [voiced for voiced, seconds in stretches for _ in range(round(seconds / FRAME_S))]


VOICE, QUIET = True, False


def is_final(event: SegmentEvent) -> bool:
    return isinstance(event, SpeechSegment | Skipped)
