"""A transcript's times and texts survive every format it is written in."""

import json

from ops.jobs.transcribe.formats import FORMATS
from ops.jobs.transcribe.transcript import FailedSegment, Line, Transcript

TALK = Transcript(
    file="talk.mp3",
    duration_s=7300.0,
    lines=(
        Line(0.69, 3.42, "Hello, <b>you</b> & you."),
        Line(3.4, 3.45, "Yes."),
        Line(3.5, 6.0, "So --> there."),
        Line(7261.0005, 7263.5, "Bye."),
    ),
    holes=(FailedSegment(10.0, 12.0, "it broke"),),
    language="en",
    model="small.en",
)


def rendered(name: str, transcript: Transcript = TALK) -> str:
    return "".join(FORMATS[name](transcript))


def test_text_has_the_time_before_each_line() -> None:
    assert rendered("txt").splitlines() == [
        "[00:00:00] Hello, <b>you</b> & you.",
        "[00:00:03] Yes.",
        "[00:00:03] So --> there.",
        "[02:01:01] Bye.",
    ]


def test_subrip_is_numbered_and_one_line_ends_where_the_next_begins() -> None:
    cues = rendered("srt").strip().split("\n\n")
    assert cues[0] == "1\n00:00:00,690 --> 00:00:03,400\nHello, <b>you</b> & you."
    assert cues[1] == "2\n00:00:03,400 --> 00:00:03,600\nYes.", "too short to be seen"
    assert cues[3].startswith("4\n02:01:01,000 --> 02:01:03,500\n")


def test_webvtt_escapes_what_would_be_markup() -> None:
    lines = rendered("vtt").splitlines()
    assert lines[0] == "WEBVTT"
    assert "Hello, &lt;b&gt;you&lt;/b&gt; &amp; you." in lines
    assert "00:00:03.600 --> 00:00:06.000" in lines, "where the one before it can be read"
    assert "So --&gt; there." in lines


def test_json_holds_everything() -> None:
    read = json.loads(rendered("json"))
    assert read["file"] == "talk.mp3"
    assert read["duration_s"] == 7300.0
    assert read["lines"][1] == {"start_s": 3.4, "end_s": 3.45, "text": "Yes."}
    assert read["holes"] == [{"start_s": 10.0, "end_s": 12.0, "error": "it broke"}]
    assert (read["language"], read["model"], read["damage"]) == ("en", "small.en", "")


def test_a_recording_in_which_nobody_spoke() -> None:
    silent = Transcript(file="hush.wav", duration_s=10.0, lines=())
    assert [rendered(name, silent) for name in ("txt", "srt", "vtt")] == ["", "", "WEBVTT\n\n"]
    assert json.loads(rendered("json", silent))["lines"] == []


def test_a_hundred_hours_have_three_digits() -> None:
    long = Transcript("x", 4e5, (Line(360_000.0, 360_001.0, "Still here."),))
    assert rendered("txt", long) == "[100:00:00] Still here.\n"
