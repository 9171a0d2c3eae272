"""The transcript of a recording, with its times."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A segment of the recording: `samples` from `start` on, in samples of 16 kHz.

    `channel` counts from 1; it is 0 where the channels are not kept apart.
    """

    start: int
    samples: int
    channel: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """A word with the blank before it, if there is one. Times are as those of a line."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of speech. Times are in s from the beginning of the recording.

    `channel` counts from 1; it is 0 where the channels are not kept apart. `words` are empty where
    the model gave no times of words.
    """

    start_s: float
    end_s: float
    text: str
    channel: int = 0
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentText:
    """The text of a segment. It has no `lines` if it was noise."""

    lines: tuple[Line, ...] = ()
    language: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class FailedSegment:
    """A segment whose transcription failed for good: a hole in the transcript."""

    start_s: float
    end_s: float
    error: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of a whole recording.

    `damage` says what of the recording could not be read, if so; `note` why there are no lines.
    """

    file: str
    duration_s: float
    lines: tuple[Line, ...]
    holes: tuple[FailedSegment, ...] = ()
    language: str = ""
    model: str = ""
    damage: str = ""
    note: str = ""
