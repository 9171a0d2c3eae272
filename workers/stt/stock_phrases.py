"""The sentences that Whisper writes where nobody speaks, by language: `stock_phrases.toml`."""

import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

Kind = Literal["courtesy", "credit"]

FILE: Final = "stock_phrases.toml"
ANYTHING: Final = "..."
"""At the end of a credit: any few words follow."""

MOST_WORDS_OF_A_CREDIT: Final = 15
"""A text that begins like a credit and is longer is a sentence about one."""

WORD_MARKS: Final = ("L", "N", "M")
"""First letters of the Unicode categories that words consist of: letters, numbers, marks."""

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StockPhrase:
    """A text that is nothing but stock phrases: without punctuation, in lower case."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Phrases:
    whole: frozenset[Words]
    """Phrases to the last word, of both kinds."""
    credits: frozenset[Words]
    """Those of `whole` that are credits."""
    beginnings: tuple[Words, ...]
    """What credits begin with."""


def find_stock_phrase(text: str) -> StockPhrase | None:
    """Return what the text consists of if that is stock phrases only, in any language; else None.

    All languages count, because in noise the model often errs in the language as well.
    """
    words = split_words(text)
    phrases = _load()
    if not words:
        return None
    normal = " ".join(words)
    if words in phrases.credits or _begins_a_credit(words, phrases.beginnings):
        return StockPhrase(normal, "credit")
    if _consists_of(words, phrases.whole):
        return StockPhrase(normal, "courtesy")
    return None


def split_words(text: str) -> Words:
    """Return the words of a text in lower case, without punctuation; apostrophes part no word."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("\u2019", "")
    marks = (mark if unicodedata.category(mark)[0] in WORD_MARKS else " " for mark in plain)
    return tuple("".join(marks).split())


def _begins_a_credit(words: Words, beginnings: Iterable[Words]) -> bool:
    return len(words) <= MOST_WORDS_OF_A_CREDIT and any(
        words[: len(begin)] == begin and len(words) > len(begin) for begin in beginnings
    )


def _consists_of(words: Words, phrases: frozenset[Words]) -> bool:
    longest = max(map(len, phrases))
    # whether the first n words consist of phrases, for each n
    reached = [True] + [False] * len(words)
    for end in range(1, len(words) + 1):
        reached[end] = any(
            reached[start] and words[start:end] in phrases
            for start in range(max(0, end - longest), end)
        )
    return reached[-1]


@cache
def _load() -> _Phrases:
    file = resources.files("workers.stt") / FILE
    whole: set[Words] = set()
    known_credits: set[Words] = set()
    beginnings: set[Words] = set()
    for of_language in tomllib.loads(file.read_text(encoding="utf-8")).values():
        whole |= set(map(split_words, of_language["courtesies"]))
        for credit in of_language["credits"]:
            if credit.endswith(ANYTHING):
                beginnings.add(split_words(credit.removesuffix(ANYTHING)))
            else:
                known_credits.add(split_words(credit))
    return _Phrases(
        frozenset(whole | known_credits), frozenset(known_credits), tuple(sorted(beginnings))
    )
