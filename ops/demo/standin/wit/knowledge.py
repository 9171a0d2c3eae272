"""What the stand-in really knows: sums of small numbers, some capitals, and some animals."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES: Final = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 10 * ten for ten, word in enumerate(_TENS, start=2)},
}

_SUM: Final = re.compile(
    r"what(?: is|'s) (?P<left>[\w ]+?) (?P<sign>plus|minus|times) (?P<right>[\w ]+)$"
)

_CAPITALS: Final = {
    "australia": "Canberra",
    "brazil": "Brasilia",
    "canada": "Ottawa",
    "france": "Paris",
    "germany": "Berlin",
    "italy": "Rome",
    "japan": "Tokyo",
    "spain": "Madrid",
}

_SOUNDS: Final = {
    "cat": "meow",
    "dog": "woof",
    "elephant": "a sound like a trumpet lesson",
    "horse": "neigh",
    "robot": "beep, and I should know",
    "spider": "nothing, which makes it a good listener",
    "whale": "a very long song",
}


def answer_from_knowledge(sentence: str) -> str | None:
    """Return the answer to a normalised question about this; None to any other sentence."""
    return _sum(sentence) or _capital(sentence) or _sound(sentence)


def number(words: str) -> int | None:
    """Return the value of `twelve`, `forty five` or `45`; None for any other text."""
    if words.isascii() and words.isdigit():
        return int(words)
    match [_VALUES.get(word) for word in words.split()]:
        case [int(value)]:
            return value
        case [int(tens), int(unit)] if tens >= 20 and 0 < unit < 10:
            return tens + unit
    return None


def _sum(sentence: str) -> str | None:
    found = _SUM.search(sentence)
    if found is None:
        return None
    left, right = number(found["left"]), number(found["right"])
    if left is None or right is None:
        return None
    match found["sign"]:
        case "plus":
            result = left + right
        case "minus":
            result = left - right
        case _:
            result = left * right
    return f"That makes {result}; sums are the one thing that I do not make up."


def _capital(sentence: str) -> str | None:
    found = re.search(r"capital of (\w+)", sentence)
    capital = _CAPITALS.get(found[1]) if found else None
    return f"{capital}; it was written on my cue card." if capital else None


def _sound(sentence: str) -> str | None:
    found = re.search(r"what does (?:the|a|an) (\w+) say", sentence)
    sound = _SOUNDS.get(found[1]) if found else None
    return f"The {found[1]} says {sound}." if found and sound else None
