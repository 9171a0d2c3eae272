"""Comparing and quoting words, and replacing `my` by `your`."""

from __future__ import annotations

import re
from typing import Final

QUOTED_WORDS: Final = 24
"""Longest quotation, in words. An ellipsis stands for the rest of the text."""

_SWAPPED: Final = {
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
    """Return the text in lower case, with single spaces and no punctuation but the apostrophe."""
    plain = text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return " ".join(re.sub(r"[^\w\s']", " ", plain).split())


def sentences(text: str) -> list[str]:
    """Return the sentences of a transcript. Turns that were merged have several."""
    return [part for part in _SENTENCE_END.split(text) if normalise(part)]


def quote(text: str) -> str:
    """Return `text` in quotation marks, on one line and with QUOTED_WORDS words at most."""
    words = text.split()
    cut = " ".join(words[:QUOTED_WORDS]) + ("..." if len(words) > QUOTED_WORDS else "")
    return f'"{cut}"'


def swap_persons(text: str) -> str:
    """Return what the other person would say: `call your mother` for `call my mother`."""
    return " ".join(_SWAPPED.get(word, word) for word in text.split())


def join_words(things: list[str]) -> str:
    """Join words as in `a`, `a and b`, `a, b and c`."""
    *rest, last = things
    return f"{', '.join(rest)} and {last}" if rest else last
