"""A whole recording, cut by the detector and the segmenter that cut live speech."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import FULL_SCALE, MS_PER_SAMPLE, SAMPLE_RATE, encode, to_int16
from common.errors import BadInput
from common.settings import ListenSettings
from common.utterance import Utterance
from producer.shipping.identity import clean_source_name
from producer.sources.level import LoudestLevel
from producer.sources.source import Source
from producer.speech.detector_choice import choose_detector
from producer.speech.endpointing import endpointing_rules
from producer.speech.segmenter import Segmenter, SegmentEvent, SpeechSegment

QUIET_DBFS: Final = -40.0
"""A recording whose loudest half second is below this is quiet. The detectors hear all speech at
-50 dB, and none at -65 dB (docs/hearing.md)."""

_HEARD_AT_DBFS: Final = -25.0
"""Where the loudest half second of a quiet recording is brought for the detector."""

_MOST_GAIN_DB: Final = 40.0
"""What is quieter still is the noise of a converter."""


def choose_gain_db(loudest_dbfs: float) -> float:
    """Return how much louder the detector must hear a recording; 0 if that is loud enough."""
    if loudest_dbfs >= QUIET_DBFS:
        return 0.0
    return min(_HEARD_AT_DBFS - loudest_dbfs, _MOST_GAIN_DB)


class RecordingCutter:
    """An iterator over the speech in `source`, in order; it blocks while it reads and judges.

    With `gain_db` the detector hears it louder; the segments hold what the recording holds.

    The caller opens and closes the source. The same file with the same settings is always cut at
    the same places. Memory: what the segmenter holds, however long the recording is.
    """

    def __init__(self, source: Source, settings: ListenSettings, gain_db: float = 0.0) -> None:
        self._source = source
        self._detector = choose_detector(settings)
        self._segmenter = Segmenter(endpointing_rules(settings), source.frame_samples)
        self._gain = np.float32(10 ** (gain_db / 20))
        self._loudest = LoudestLevel(source.frame_samples)
        self.damage = ""
        """Why the recording ended early, if it did; everything before that place is whole."""

    @property
    def position_s(self) -> float:
        """Seconds of the recording that were read so far."""
        return self._source.samples / SAMPLE_RATE

    @property
    def loudest_dbfs(self) -> float:
        """Level of the loudest half second so far, dB of full scale."""
        return self._loudest.dbfs

    def __iter__(self) -> Iterator[SpeechSegment]:
        try:
            for frame in self._source:
                self._loudest.push(frame)
                is_speech = self._detector.is_speech(self._amplify(frame))
                yield from _segments(self._segmenter.push(frame, is_speech, self._detector.is_sure))
        except BadInput as error:
            self.damage = str(error)
        yield from _segments(self._segmenter.finish())

    def _amplify(self, frame: NDArray[np.int16]) -> NDArray[np.int16]:
        if self._gain == 1:
            return frame
        return to_int16(frame.astype(np.float32) * (self._gain / np.float32(FULL_SCALE)))


def _segments(events: list[SegmentEvent]) -> Iterator[SpeechSegment]:
    return (event for event in events if isinstance(event, SpeechSegment))


def utterance_of(
    segment: SpeechSegment, settings: ListenSettings, *, utterance: str, session: str, source: str
) -> Utterance:
    """Return the utterance of a segment: STT transcribes it, and nobody answers it."""
    return Utterance(
        id=utterance,
        session=session,
        codec=settings.codec,
        rate=SAMPLE_RATE,
        samples=len(segment.samples),
        audio=encode(segment.samples, settings.codec),
        speech_ms=round(segment.speech_samples * MS_PER_SAMPLE),
        source=clean_source_name(source),
        language=settings.language,
        answer=False,
        continued=segment.continued,
    )
