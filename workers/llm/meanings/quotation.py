"""Quoting an LLM server without what was said: its words go into logs.

Many servers repeat the request in the answer that refuses it (FastAPI names the wrong `input`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

REPEATED: Final = 10
"""Letters and digits of a run of words that make it a repetition and no coincidence."""

SHORT: Final = 5
"""Letters that make a short message worth hiding as a whole; one with a digit always is."""

LEFT_OUT: Final = "its words repeat what was said, and are left out"

WORD: Final = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
"""A word; in scripts without spaces a character, which weighs as much as three letters."""

ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrt])")


def repeats(text: str, messages: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether a text repeats what stands in the messages of a request.

    A system message does not count: nobody has said it.
    """
    words = _words(text)
    found = set(_runs(words))
    line = f" {' '.join(words)} "
    for message in messages:
        if message.get("role") == "system":
            continue
        said = _words(str(message.get("content", "")))
        if not found.isdisjoint(_runs(said)):
            return True
        is_short = bool(said) and _weight(said) < REPEATED
        if is_short and _is_worth_hiding(said) and f" {' '.join(said)} " in line:
            return True
    return False


def _words(text: str) -> list[str]:
    plain = unquote(ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text))
    return WORD.findall(plain.casefold())


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield, for each word, the shortest run from it on that is a repetition if it is found."""
    for start in range(len(words)):
        weight = 0
        for end in range(start, len(words)):
            weight += _weight(words[end : end + 1])
            if weight >= REPEATED:
                yield tuple(words[start : end + 1])
                break


def _weight(words: Sequence[str]) -> int:
    return sum(3 if word >= "\u3040" and len(word) == 1 else len(word) for word in words)


def _is_worth_hiding(words: Sequence[str]) -> bool:
    return _weight(words) >= SHORT or any(char.isdigit() for word in words for char in word)
