"""The outcomes of a recording's segments, read from the results.

`transcriber.py` leaves out the segments that have one.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from common.audio import SAMPLE_RATE
from common.errors import BadEntry
from common.events import Error, Event, Skipped, Transcript, TranscriptData
from ops.jobs.transcribe.transcript import FailedSegment, Line, SegmentText, Span

MS: Final = 1000

_UTTERANCE: Final = re.compile(
    r"(?P<run>[^.]+)(?:\.c(?P<channel>[0-9]+))?\.(?P<start>[0-9]+)\.(?P<samples>[0-9]+)(?:\.[0-9]+)?"
)


def utterance_id(run: str, span: Span, attempt: int) -> str:
    """Return the utterance id of a segment. It is the same each time the run starts again."""
    again = f".{attempt}" if attempt else ""
    channel = f".c{span.channel}" if span.channel else ""
    return f"{run}{channel}.{span.start}.{span.samples}{again}"


def span_of(run: str, utterance: str) -> Span | None:
    """Return the segment of an utterance; None if it does not belong to this run."""
    match = _UTTERANCE.fullmatch(utterance)
    if match is None or match["run"] != run:
        return None
    return Span(int(match["start"]), int(match["samples"]), int(match["channel"] or 0))


class SegmentResults:
    """The outcome of each segment of one run."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._outcomes: dict[Span, SegmentText | FailedSegment] = {}

    def __contains__(self, span: Span) -> bool:
        return span in self._outcomes

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def by_span(self) -> Mapping[Span, SegmentText | FailedSegment]:
        return self._outcomes

    def note(self, event: Event) -> Span | None:
        """Note an event; return the segment that has its outcome now, if there is one.

        Raises BadEntry if somebody has deleted the session (`forgotten`).
        """
        span = span_of(self._run, event.id)
        if span is None:
            return None
        match event:
            case Transcript():
                self._outcomes[span] = _segment_text(span, event.data)
            case Skipped() if event.data.reason == "forgotten":
                raise BadEntry("the recording's session was forgotten: it is not transcribed")
            case Skipped() if event.data.reason == "transcript_only":
                return None  # its transcript came before
            case Skipped():
                self._outcomes.setdefault(span, SegmentText())
            case Error():
                start_s, end_s = _edges(span)
                self._outcomes.setdefault(span, FailedSegment(start_s, end_s, event.data.error))
            case _:
                return None
        return span


def _edges(span: Span) -> tuple[float, float]:
    return span.start / SAMPLE_RATE, (span.start + span.samples) / SAMPLE_RATE


def _segment_text(span: Span, data: TranscriptData) -> SegmentText:
    start_s, end_s = _edges(span)
    parts = [
        Line(start_s + part.start_ms / MS, start_s + part.end_ms / MS, part.text, span.channel)
        for part in data.segments
        if part.text
    ]
    lines = parts or [Line(start_s, end_s, data.text, span.channel)]
    return SegmentText(tuple(_round(line) for line in lines), data.language, data.model)


def _round(line: Line) -> Line:
    return replace(line, start_s=round(line.start_s, 3), end_s=round(line.end_s, 3))
