"""The sentences that the demo model knows: a small assistant grammar.

`sentences()` fills the gaps of all templates. About one filling in HELD_OUT_ONE_IN is not used in
the training, so that the evaluation can use combinations that the model has never heard.
"""

from __future__ import annotations

import itertools
import random
import re
import string
import zlib
from dataclasses import dataclass
from typing import Final

from .templates import TEMPLATES

HELD_OUT_ONE_IN: Final = 20
"""Of this many fillings of a template, one is not used in the training."""

MAX_FILLINGS: Final = 400
"""How many fillings of one template are used at most. Of more, an even selection is used."""

SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "number": ("two", "three", "five", "ten", "fifteen", "twenty", "thirty", "forty five"),
    "few": ("two", "three", "five", "ten"),
    "hour": ("five", "six", "seven", "eight", "nine", "ten"),
    "past": ("fifteen", "thirty", "forty five"),
    "degrees": ("eighteen", "nineteen", "twenty", "twenty one", "twenty two"),
    "percent": ("ten", "twenty", "fifty", "eighty"),
    "unit": ("seconds", "minutes", "hours"),
    "onoff": ("on", "off"),
    "updown": ("up", "down"),
    "room": (
        "kitchen", "bedroom", "living room", "bathroom", "hallway", "garage", "office", "garden",
    ),
    "device": ("radio", "television", "fan", "heating", "coffee machine", "music"),
    "daypart": ("morning", "afternoon", "evening"),
    "when": ("today", "tomorrow", "tonight", "this weekend", "on Monday", "on Friday"),
    "day": (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
    ),
    "city": ("London", "Paris", "Berlin", "Tokyo", "Rome", "New York", "Madrid", "Sydney"),
    "country": ("France", "Germany", "Italy", "Spain", "Japan", "Canada", "Australia", "Brazil"),
    "music": ("jazz", "classical music", "rock music", "some piano music", "my favorite songs",
              "quiet music", "the news", "dance music"),
    "food": (
        "milk", "bread", "eggs", "cheese", "apples", "bananas", "coffee", "butter", "tomatoes",
        "orange juice",
    ),
    "dish": ("pancakes", "soup", "pasta", "a cake", "an omelette", "pizza", "bread"),
    "cooked": ("eggs", "rice", "chicken"),
    "task": (
        "call my mother", "water the plants", "feed the cat", "walk the dog", "buy some milk",
        "take out the trash", "pay the rent", "call the doctor", "do the laundry",
        "close the windows",
    ),
    "person": ("my mother", "my father", "my sister", "my brother", "the doctor", "Anna",
               "Peter", "the office"),
    "animal": ("cat", "dog", "elephant", "penguin", "horse", "whale", "spider", "robot"),
    "topic": (
        "a cat", "a dog", "a robot", "a dragon", "the moon", "the sea", "a princess", "space",
    ),
    "fact": ("the moon", "the sun", "the ocean", "cats", "elephants", "space", "history",
             "music", "the weather"),
    "opener": ("Hello", "Hey", "Okay"),
    "language": ("French", "German", "Spanish", "Italian", "Japanese"),
    "word": ("hello", "thank you", "good morning", "goodbye", "please", "water"),
    "thing": ("the weather", "the time", "the news", "the date"),
}  # fmt: skip


@dataclass(frozen=True)
class Sentences:
    """All sentences of one template: those of the training, and the rest."""

    template: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]


def sentences() -> list[Sentences]:
    """Fill all templates. The result is the same on every machine and in every run."""
    return [_fill(template) for template in TEMPLATES]


def vocabulary() -> set[str]:
    """Return all words of the grammar, normalised."""
    return {
        word
        for group in sentences()
        for text in (*group.train, *group.held_out)
        for word in normalise(text).split()
    }


def normalise(text: str) -> str:
    """Remove case and punctuation, so that transcripts can be compared."""
    return " ".join(re.sub(r"[^\w\s']", " ", text.casefold()).split())


def pick(groups: list[Sentences], rng: random.Random, *, held_out: bool = False) -> str:
    """Choose a sentence. The weight of a template is the cube root of the number of its fillings.

    With equal weights, sentences of templates with many fillings would be rare. With weights as
    large as the numbers, short phrases would be rare.
    """
    pools = [group.held_out if held_out else group.train for group in groups]
    weights = [len(pool) ** (1 / 3) for pool in pools]
    return rng.choice(rng.choices(pools, weights)[0])


def _fill(template: str) -> Sentences:
    slots = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    products = itertools.product(*(SLOTS[name] for name in slots))
    texts = [_insert(template, values) for values in products if len(set(values)) == len(values)]
    if len(texts) > MAX_FILLINGS:
        texts = texts[:: -(-len(texts) // MAX_FILLINGS)]
    if len(texts) < HELD_OUT_ONE_IN // 2:
        return Sentences(template, tuple(texts), ())
    held_out = tuple(t for t in texts if zlib.crc32(t.encode()) % HELD_OUT_ONE_IN == 0)
    return Sentences(template, tuple(t for t in texts if t not in held_out), held_out)


def _insert(template: str, values: tuple[str, ...]) -> str:
    remaining = iter(values)
    return re.sub(r"\{\w+\}", lambda _: next(remaining), template)
