"""A whole recording, cut by the detector and the segmenter that cut live speech."""

from collections.abc import Iterator

from common.audio import MS_PER_SAMPLE, SAMPLE_RATE, encode
from common.errors import BadInput
from common.settings import ListenSettings
from common.utterance import Utterance
from producer.shipping.identity import clean_source_name
from producer.sources.source import Source
from producer.speech.detector_choice import choose_detector
from producer.speech.endpointing import endpointing_rules
from producer.speech.segmenter import Segmenter, SegmentEvent, SpeechSegment


class RecordingCutter:
    """An iterator over the speech in `source`, in order; it blocks while it reads and judges.

    The caller opens and closes the source. The same file with the same settings is always cut at
    the same places. Memory: what the segmenter holds, however long the recording is.
    """

    def __init__(self, source: Source, settings: ListenSettings) -> None:
        self._source = source
        self._detector = choose_detector(settings)
        self._segmenter = Segmenter(endpointing_rules(settings), source.frame_samples)
        self.damage = ""
        """Why the recording ended early, if it did; everything before that place is whole."""

    @property
    def position_s(self) -> float:
        """Seconds of the recording that were read so far."""
        return self._source.samples / SAMPLE_RATE

    def __iter__(self) -> Iterator[SpeechSegment]:
        try:
            for frame in self._source:
                is_speech = self._detector.is_speech(frame)
                yield from _segments(self._segmenter.push(frame, is_speech, self._detector.is_sure))
        except BadInput as error:
            self.damage = str(error)
        yield from _segments(self._segmenter.finish())


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
