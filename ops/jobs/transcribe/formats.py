"""The formats of a transcript: text, subtitles or JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Final

from ops.jobs.transcribe.transcript import Line, Transcript

SHORTEST_S: Final = 0.2
"""Every subtitle is shown for at least this long, so that it can be seen."""

Format = Callable[[Transcript], Iterator[str]]


def txt(transcript: Transcript) -> Iterator[str]:
    """Yield the lines of speech, each after its time."""
    for line in transcript.lines:
        yield f"[{_clock(line.start_s).partition('.')[0]}] {line.text}\n"


def srt(transcript: Transcript) -> Iterator[str]:
    """Yield SubRip: the subtitles are numbered, and times have a comma."""
    for number, line in enumerate(_without_overlaps(transcript.lines), start=1):
        times = f"{_clock(line.start_s)} --> {_clock(line.end_s)}".replace(".", ",")
        yield f"{number}\n{times}\n{line.text}\n\n"


def vtt(transcript: Transcript) -> Iterator[str]:
    """Yield WebVTT (https://www.w3.org/TR/webvtt1/), in which & < > are written as entities."""
    yield "WEBVTT\n\n"
    for line in _without_overlaps(transcript.lines):
        text = line.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"{_clock(line.start_s)} --> {_clock(line.end_s)}\n{text}\n\n"


def json_(transcript: Transcript) -> Iterator[str]:
    """Yield one JSON object with the fields of `Transcript`. Times are in s."""
    yield json.dumps(asdict(transcript), ensure_ascii=False, indent=1) + "\n"


FORMATS: Final[Mapping[str, Format]] = {"txt": txt, "srt": srt, "vtt": vtt, "json": json_}


def _clock(seconds: float) -> str:
    """Return HH:MM:SS.mmm. There may be more than two digits for the hours."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def _without_overlaps(lines: tuple[Line, ...]) -> Iterator[Line]:
    """Yield the lines with earlier ends where they overlap.

    They overlap because the audio of a segment is a little longer than its speech.
    """
    for line, following in pairwise((*lines, None)):
        assert line is not None
        end_s = line.end_s if following is None else min(line.end_s, following.start_s)
        yield Line(line.start_s, max(end_s, line.start_s + SHORTEST_S), line.text)
