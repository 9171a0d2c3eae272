"""The transcript of a recording, with its times."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A segment of the recording: `samples` from `start` on, in samples of 16 kHz."""

    start: int
    samples: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of speech. Times are in s from the beginning of the recording."""

    start_s: float
    end_s: float
    text: str


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
    """The transcript of a whole recording. `damage` says why reading it ended early, if so."""

    file: str
    duration_s: float
    lines: tuple[Line, ...]
    holes: tuple[FailedSegment, ...] = ()
    language: str = ""
    model: str = ""
    damage: str = ""
