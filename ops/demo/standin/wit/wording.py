"""Comparing and quoting words, and turning `my` into `your`."""

from __future__ import annotations

import re
from typing import Final

QUOTED_WORDS: Final = 24
"""Longest quotation, words; the rest of the text becomes an ellipsis."""

_TURNED: Final = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "our": "your",
    "us": "you",
    "your": "my",
    "yours": "mine",
    "you": "me",
}
_SENTENCE_END: Final = re.compile(r"(?<=[.?!])\s+|\n+")


def normalise(text: str) -> str:
    """Lower case, no punctuation but the apostrophe, single spaces."""
    plain = text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return " ".join(re.sub(r"[^\w\s']", " ", plain).split())


def sentences(text: str) -> list[str]:
    """The sentences of a transcript; several turns merged into one have several."""
    return [part for part in _SENTENCE_END.split(text) if normalise(part)]


def quote(text: str) -> str:
    """`text` in quotation marks, on one line, cut to `QUOTED_WORDS`."""
    words = text.split()
    cut = " ".join(words[:QUOTED_WORDS]) + ("..." if len(words) > QUOTED_WORDS else "")
    return f'"{cut}"'


def swap_persons(text: str) -> str:
    """What the speaker said of themselves, said to them: `call my mother`, `call your mother`."""
    return " ".join(_TURNED.get(word, word) for word in text.split())


def join_words(things: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *rest, last = things
    return f"{', '.join(rest)} and {last}" if rest else last
