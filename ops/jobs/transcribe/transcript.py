"""The transcript of a recording, with its times."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A segment of the recording: `samples` from `start` on, in samples of 16 kHz."""

    start: int
    samples: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of speech; times in s from the beginning of the recording."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class SegmentText:
    """The text of a segment. Without `lines` it was only noise."""

    lines: tuple[Line, ...] = ()
    language: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class FailedSegment:
    """A segment whose transcription failed for good, a hole in the transcript; `error` says why."""

    start_s: float
    end_s: float
    error: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole recording. `damage`: why it ended early, if it did."""

    file: str
    duration_s: float
    lines: tuple[Line, ...]
    holes: tuple[FailedSegment, ...] = ()
    language: str = ""
    model: str = ""
    damage: str = ""
