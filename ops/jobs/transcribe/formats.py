"""The formats of a transcript: text, subtitles or JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Final

from ops.jobs.transcribe.cues import Row, make_cues
from ops.jobs.transcribe.transcript import Transcript

Format = Callable[[Transcript], Iterator[str]]


def txt(transcript: Transcript) -> Iterator[str]:
    """Yield the lines of speech, each after its time, and after its channel if that is known."""
    for line in transcript.lines:
        channel = f"channel {line.channel}: " if line.channel else ""
        yield f"[{_clock(line.start_s).partition('.')[0]}] {channel}{line.text}\n"


def srt(transcript: Transcript) -> Iterator[str]:
    """Yield SubRip: the subtitles are numbered, and times have a comma."""
    for number, cue in enumerate(make_cues(transcript.lines), start=1):
        text = "\n".join(
            f"[{row.channel}] {row.text}" if row.channel else row.text for row in cue.rows
        )
        times = f"{_clock(cue.start_s)} --> {_clock(cue.end_s)}".replace(".", ",")
        yield f"{number}\n{times}\n{text}\n\n"


def vtt(transcript: Transcript) -> Iterator[str]:
    """Yield WebVTT (https://www.w3.org/TR/webvtt1/), in which & < > are written as entities.

    A channel is a voice span, `<v ...>`.
    """
    yield "WEBVTT\n\n"
    for cue in make_cues(transcript.lines):
        text = "\n".join(map(_as_webvtt, cue.rows))
        yield f"{_clock(cue.start_s)} --> {_clock(cue.end_s)}\n{text}\n\n"


def json_(transcript: Transcript) -> Iterator[str]:
    """Yield one JSON object with the fields of `Transcript`. Times are in s.

    A line has a `channel` if the channels were kept apart.
    """
    values = asdict(transcript)
    for line in values["lines"]:
        del line["words"]
        if not line["channel"]:
            del line["channel"]
    yield json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def _as_webvtt(row: Row) -> str:
    text = row.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<v channel {row.channel}>{text}</v>" if row.channel else text


FORMATS: Final[Mapping[str, Format]] = {"txt": txt, "srt": srt, "vtt": vtt, "json": json_}


def _clock(seconds: float) -> str:
    """Return HH:MM:SS.mmm. There may be more than two digits for the hours."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
