"""A transcript as text, as subtitles, as JSON: pure functions."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Final

from ops.jobs.transcribe.transcript import Line, Transcript

SHORTEST_S: Final = 0.2
"""Of a subtitle: what is shown for less is not seen."""

Format = Callable[[Transcript], Iterator[str]]


def txt(transcript: Transcript) -> Iterator[str]:
    """A line for each thing said, the time before it."""
    for line in transcript.lines:
        yield f"[{_clock(line.start_s).partition('.')[0]}] {line.text}\n"


def srt(transcript: Transcript) -> Iterator[str]:
    """SubRip: numbered, times with a comma."""
    for number, line in enumerate(_in_turn(transcript.lines), start=1):
        times = f"{_clock(line.start_s)} --> {_clock(line.end_s)}".replace(".", ",")
        yield f"{number}\n{times}\n{line.text}\n\n"


def vtt(transcript: Transcript) -> Iterator[str]:
    """WebVTT, https://www.w3.org/TR/webvtt1/: & < > are written as entities."""
    yield "WEBVTT\n\n"
    for line in _in_turn(transcript.lines):
        text = line.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"{_clock(line.start_s)} --> {_clock(line.end_s)}\n{text}\n\n"


def json_(transcript: Transcript) -> Iterator[str]:
    """One object, its fields those of `Transcript`; times in s."""
    yield json.dumps(asdict(transcript), ensure_ascii=False, indent=1) + "\n"


FORMATS: Final[Mapping[str, Format]] = {"txt": txt, "srt": srt, "vtt": vtt, "json": json_}


def _clock(seconds: float) -> str:
    """HH:MM:SS.mmm; hours take as many digits as they need."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def _in_turn(lines: tuple[Line, ...]) -> Iterator[Line]:
    """No two at once: a segment's audio begins a little before its speech and ends after it."""
    for line, following in pairwise((*lines, None)):
        assert line is not None
        end_s = line.end_s if following is None else min(line.end_s, following.start_s)
        yield Line(line.start_s, max(end_s, line.start_s + SHORTEST_S), line.text)
