"""Subtitles can be read: two rows of 42 characters, 7 s at most, split where words are, and never
two at once; in languages without blanks too."""

import re
from itertools import pairwise

import pytest

from ops.jobs.transcribe.cues import LONGEST_S, ROW, Cue, make_cues
from ops.jobs.transcribe.formats import FORMATS
from ops.jobs.transcribe.transcript import Line, Transcript, Word

ENGLISH = (
    "When we came to the harbour the boats had already left, and nobody could tell us when the"
    " next one would come. So we sat down on the stones, and my sister began to read. It was a"
    " book about whales, their songs, and the people who follow them from one end of the ocean to"
    " the other."
)
GERMAN = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverleihungsurkundenmappe " * 4
JAPANESE = "今日はとても天気がいいので、公園まで散歩に行きました。桜の花がたくさん咲いていて、" * 3
THAI = "สวัสดีครับวันนี้อากาศดีมากเราไปเดินเล่นที่สวนสาธารณะกันเถอะ" * 4
ARABIC = (
    "ذهبنا إلى الميناء، لكن القوارب كانت قد غادرت، ولم يستطع أحد أن يخبرنا متى تأتي التالية. " * 3
)
EMOJI = "👩‍👩‍👧‍👦é" * 60
TEXTS = {
    "English": ENGLISH,
    "German": GERMAN,
    "Japanese": JAPANESE,
    "Thai": THAI,
    "Arabic": ARABIC,
    "no words": "https://example.org/" + "a" * 300,
    "emoji": EMOJI,
    "short": "Yes.",
}


def said(text: str, start_s: float, end_s: float, channel: int = 0, *, timed: bool) -> Line:
    """A line as a model gives it, with the times of its words or without."""
    pieces = re.findall(r"\s*\S+", text)
    each_s = (end_s - start_s) / len(pieces)
    words = tuple(
        Word(start_s + each_s * place, start_s + each_s * (place + 0.9), piece)
        for place, piece in enumerate(pieces)
    )
    return Line(start_s, end_s, text, channel, words if timed else ())


def assert_readable(cues: list[Cue]) -> None:
    for cue in cues:
        assert 1 <= len(cue.rows) <= 2
        assert all(0 < len(row.text) <= ROW for row in cue.rows if "\u200d" not in row.text)
        assert 0.2 - 1e-6 <= cue.end_s - cue.start_s <= LONGEST_S + 1e-6
    for cue, following in pairwise(cues):
        assert cue.end_s <= following.start_s


def text_of(cues: list[Cue]) -> str:
    return "".join("".join(row.text.split()) for cue in cues for row in cue.rows)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("seconds", [0.3, 4.0, 28.0])
@pytest.mark.parametrize("language", TEXTS)
def test_every_text_becomes_readable_cues(language: str, seconds: float, timed: bool) -> None:
    text = TEXTS[language]
    cues = make_cues([said(text, 100.0, 100.0 + seconds, timed=timed)])
    assert text_of(cues) == "".join(text.split()), "and loses nothing"
    assert_readable(cues)


def test_cues_begin_and_end_with_their_words() -> None:
    line = said(ENGLISH, 10.0, 38.0, timed=True)
    cues = make_cues([line])
    assert len(cues) > 4
    begins = {word.start_s: word.text.strip() for word in line.words}
    ends = {word.end_s: word.text.strip() for word in line.words}
    for cue in cues:
        assert cue.rows[0].text.startswith(begins[cue.start_s])
        if cue.end_s - cue.start_s != pytest.approx(1.0):  # else it stays for longer
            assert cue.rows[-1].text.endswith(ends[cue.end_s])
    assert any(cue.rows[-1].text.endswith(".") for cue in cues[:-1]), "sentences stay together"


def test_a_pause_ends_a_cue() -> None:
    words = (Word(0.0, 0.5, "Well,"), Word(4.0, 4.4, " yes."))
    cues = make_cues([Line(0.0, 4.4, "Well, yes.", 0, words)])
    assert [(cue.start_s, cue.rows[0].text) for cue in cues] == [(0.0, "Well,"), (4.0, "yes.")]


def test_a_short_answer_stays_until_it_can_be_read() -> None:
    cues = make_cues([Line(1.0, 1.3, "No."), Line(1.5, 1.7, "Why?"), Line(9.0, 9.2, "So.")])
    assert [(cue.start_s, cue.end_s) for cue in cues] == [(1.0, 1.5), (1.5, 2.5), (9.0, 10.0)]


def test_two_who_speak_at_once_share_a_cue() -> None:
    lines = [
        Line(1.0, 3.0, "Shall we?", 1),
        Line(1.4, 2.6, "Let us <go>.", 2),
        said(ENGLISH, 5.0, 30.0, 1, timed=True),
        said(ENGLISH, 5.5, 31.0, 2, timed=True),
    ]
    cues = make_cues(lines)
    assert_readable(cues)
    assert [row.channel for row in cues[0].rows] == [1, 2]
    talk = Transcript("call.wav", 40.0, tuple(lines))
    srt, vtt = ("".join(FORMATS[name](talk)) for name in ("srt", "vtt"))
    assert srt.startswith("1\n00:00:01,000 --> 00:00:03,000\n[1] Shall we?\n[2] Let us <go>.\n\n")
    assert "\n<v channel 1>Shall we?</v>\n<v channel 2>Let us &lt;go&gt;.</v>\n" in vtt
    assert all(len(row) <= ROW for row in srt.splitlines())
    assert "[00:00:01] channel 2: Let us <go>.\n" in "".join(FORMATS["txt"](talk))


def test_many_lines_at_the_same_time_are_shown_one_after_the_other() -> None:
    cues = make_cues([Line(1.0, 2.0, f"{n} " + "word " * 12) for n in range(5)])
    assert_readable(cues)
    assert len(cues) == 5
