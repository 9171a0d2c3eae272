"""Subtitles that a person can read: the lines of a transcript as short cues.

A cue has at most two rows of 42 characters and lasts at most 7 s (Netflix, "Timed Text Style Guide:
General Requirements" and "English"). Chinese, Japanese and Korean characters count twice: they are
twice as wide. No two cues overlap.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ops.jobs.transcribe.transcript import Line, Word

ROW: Final = 42
"""Characters in a row."""

LONGEST_S: Final = 7.0
SHORTEST_S: Final = 0.2
"""Every cue is shown for at least this long, so that it can be seen."""

_READABLE_S: Final = 1.0
"""A cue stays for so long if the next one lets it."""

_PAUSE_S: Final = 1.5
"""A pause after which the next words are another cue."""

_SENTENCE_END: Final = re.compile(
    r"[.!?\u2026\u3002\uff01\uff1f\u0964][\"'\u00bb\u201d\u2019)\]]*$"
)
_CLAUSE_END: Final = re.compile(
    r"[,;:\u2013\u2014\u3001\uff0c\uff1b\uff1a\u060c][\"'\u00bb\u201d\u2019)\]]*$"
)

_FEW: Final = 4
"""Words that do not make a cue of their own, if they are the rest of a sentence."""

_WORD: Final = re.compile(r"\s*\S+")


_NAME: Final = 5
"""Characters that a row keeps for the name of its channel: `[10] `."""


class Row(NamedTuple):
    """A row of text, and the channel in which somebody begins to speak here; 0 if not."""

    text: str
    channel: int


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle: one or two rows, with its times in s."""

    start_s: float
    end_s: float
    rows: tuple[Row, ...]


def make_cues(lines: Iterable[Line]) -> list[Cue]:
    """Return the cues of a transcript in the order of their times."""
    cues = [cue for line in lines for cue in _split(line)]
    return _without_overlaps(sorted(cues, key=lambda cue: cue.start_s))


def _split(line: Line) -> Iterator[Cue]:
    """Yield the cues of one line."""
    words = list(_short_words(line.words or (Word(line.start_s, line.end_s, line.text),)))
    most = ROW - _NAME if line.channel else ROW
    while words:
        count = _count_fitting(words, most)
        if count < len(words):
            count = _find_break(words, count, most)
        held, words = words[:count], words[count:]
        text = "".join(word.text for word in held).strip()
        start_s = held[0].start_s
        end_s = min(max(held[-1].end_s, start_s + SHORTEST_S), start_s + LONGEST_S)
        if text:
            first, *second = _wrap(text, most)
            rows = (Row(first, line.channel), *(Row(row, 0) for row in second))
            yield Cue(start_s, end_s, rows)


def _short_words(words: Iterable[Word]) -> Iterator[Word]:
    """Yield words that fit into a row, and that last no longer than a cue.

    What the model gives as one word may be a whole line: then each of its words gets a part of its
    time by its width. What is too long, as a text without blanks, is cut at any character.
    """
    for word in words:
        pieces = _WORD.findall(word.text)
        whole = sum(map(_width, pieces)) or 1
        at_s, each_s = word.start_s, (word.end_s - word.start_s) / whole
        for piece in pieces:
            parts = [piece] if _width(piece.strip()) <= ROW // 2 else _characters(piece)
            for part in parts:
                end_s = at_s + each_s * _width(part)
                yield Word(at_s, end_s, part)
                at_s = end_s


def _characters(text: str) -> list[str]:
    """Return the characters with the marks that belong to them."""
    found: list[str] = []
    for char in text:
        if found and (
            _is_mark(char) or found[-1].isspace() or found[-1][-1] == "\N{ZERO WIDTH JOINER}"
        ):
            found[-1] += char
        else:
            found.append(char)
    return found


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Mc", "Me", "Cf", "Sk"}


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1 for char in text)


def _count_fitting(words: list[Word], row: int) -> int:
    """Return how many of the words fit into one cue; at least 1."""
    text = ""
    for count, word in enumerate(words):
        text += word.text
        is_late = word.end_s - words[0].start_s > LONGEST_S
        is_pause = count > 0 and word.start_s - words[count - 1].end_s > _PAUSE_S
        if count and (is_late or is_pause or not _fits(text.strip(), row)):
            return count
    return len(words)


def _find_break(words: list[Word], most: int, row: int) -> int:
    """Return after how many words the text breaks best: after a sentence, a clause, or a word.

    What follows is not a single word if the two cues can be alike.
    """
    for ending in (_SENTENCE_END, _CLAUSE_END):
        for count in range(most, most // 2, -1):
            if ending.search(words[count - 1].text):
                return count
    if _count_fitting(words[most:], row) == len(words) - most < _FEW:
        most = (len(words) + 1) // 2
    # between two words rather than in one
    for count in range(most, most // 2, -1):
        if words[count].text[:1].isspace():
            return count
    return most


def _fits(text: str, row: int) -> bool:
    return _width(text) <= row or _choose_wrap(text, row) is not None


def _wrap(text: str, row: int) -> tuple[str, ...]:
    if _width(text) <= row:
        return (text,)
    at = _choose_wrap(text, row)
    if at is None:  # one word that cannot be cut
        return (text,)
    return text[:at].strip(), text[at:].strip()


def _choose_wrap(text: str, row: int) -> int | None:
    """Return where the second row begins, so that the rows are alike; None if they do not fit."""
    blanks = [match.start() for match in re.finditer(r"\s", text)]
    for places in (blanks, [at for at in range(1, len(text)) if not _is_mark(text[at])]):
        rows = [(_width(text[:at].strip()), _width(text[at:].strip()), at) for at in places]
        fitting = [
            (abs(upper - lower), at) for upper, lower, at in rows if max(upper, lower) <= row
        ]
        if fitting:
            return min(fitting)[1]
    return None


def _without_overlaps(cues: list[Cue]) -> list[Cue]:
    """Return cues of which each ends where the next begins, at the latest.

    They overlap because the audio of a segment is a little longer than its speech, and where two
    people speak at once: these share a cue if there is room.
    """
    found: list[Cue] = []
    for cue in cues:
        if found and cue.start_s < found[-1].end_s:
            last = found[-1]
            if len(last.rows) == len(cue.rows) == 1 and last.rows[0].channel != cue.rows[0].channel:
                end_s = min(max(last.end_s, cue.end_s), last.start_s + LONGEST_S)
                found[-1] = Cue(last.start_s, end_s, last.rows + cue.rows)
                continue
            end_s = max(cue.start_s, last.start_s + SHORTEST_S)
            found[-1] = replace(last, end_s=end_s)
            cue = replace(cue, start_s=end_s, end_s=max(cue.end_s, end_s + SHORTEST_S))
        elif found and found[-1].end_s - found[-1].start_s < _READABLE_S:
            last = found[-1]
            found[-1] = replace(last, end_s=min(last.start_s + _READABLE_S, cue.start_s))
        found.append(cue)
    if found and found[-1].end_s - found[-1].start_s < _READABLE_S:
        found[-1] = replace(found[-1], end_s=found[-1].start_s + _READABLE_S)
    return found
