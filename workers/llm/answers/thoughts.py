"""Thoughts of models that reason aloud, taken out of the text of a reply.

Chat templates mark them by tags, which may come in pieces. A tag counts wherever it stands, unless
it is quoted.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

OPENING: Final[tuple[str, ...]] = (
    *("<think>", "<thinking>", "<thought>", "<thoughts>", "<reasoning>"),  # DeepSeek, Qwen, Gemini
    *("<seed:think>", "[think]", "◁think▷"),  # Seed-OSS, Magistral, Kimi
    *("<|start_thinking|>", "<|begin_of_thought|>"),  # Cohere, OpenThinker
    *("<|channel|>analysis<|message|>", "<|channel|>commentary<|message|>"),  # gpt-oss
)
CLOSING: Final = (
    *("</think>", "</thinking>", "</thought>", "</thoughts>", "</reasoning>"),
    *("</seed:think>", "[/think]", "◁/think▷"),
    *("<|end_thinking|>", "<|end_of_thought|>"),
    *("<|channel|>final<|message|>",),
)
DROPPED: Final = ("<|start|>assistant", "<|end|>", "<|return|>")
"""Marks of gpt-oss that stand between its channels."""

QUOTES: Final = frozenset("`'\"“‘«")
"""A tag behind one of these is spoken of, and opens or closes nothing."""

THINKERS: Final = re.compile(
    r"(^|[-_/:. ])(r1|qwq|z1)([-_/:. ]|$)|think(ing|er)|reason", re.IGNORECASE
)
"""Names of models whose template opens the thought, so that the reply lacks the first tag."""

_TAGS: Final = tuple(sorted((*OPENING, *CLOSING, *DROPPED), key=len, reverse=True))
_LONGEST: Final = len(_TAGS[0])
_ANY_TAG: Final = re.compile("|".join(map(re.escape, _TAGS)), re.IGNORECASE)
_BEGINNINGS: Final = frozenset(tag[:end] for tag in _TAGS for end in range(1, len(tag)))


class Place(Enum):
    """Where the text is that comes next."""

    TEXT = auto()
    THOUGHT = auto()
    ASSUMED_THOUGHT = auto()
    """No tag has opened it: the template may have done so, or it is no thought."""


@dataclass(frozen=True, slots=True)
class Split:
    """A piece of a reply, split. `takes_back`: the text before it was a thought."""

    text: str = ""
    thought: str = ""
    takes_back: bool = False


def join_splits(first: Split, second: Split) -> Split:
    """Return both as one: what the second takes back was a thought in the first."""
    if second.takes_back:
        thought = first.thought + first.text + second.thought
        return Split(second.text, thought, takes_back=True)
    return Split(
        first.text + second.text, first.thought + second.thought, takes_back=first.takes_back
    )


class ThoughtSplitter:
    """Splits the text of one reply. `starts_in_thought`: its first tag may be missing."""

    def __init__(self, *, starts_in_thought: bool = False) -> None:
        self._place = Place.ASSUMED_THOUGHT if starts_in_thought else Place.TEXT
        self._held = ""
        self._before = ""
        self._saw_tag = False
        self.lacks_first_tag = False
        """Whether there was a thought that only its last tag marked."""

    def feed(self, piece: str) -> Split:
        """Return what is known of the text by now. The beginning of a tag is held back."""
        text = self._held + piece
        self._held = ""
        found = Split()
        while (tag := _ANY_TAG.search(text)) is not None:
            found = self._add(found, text[: tag.start()])
            found = self._pass(found, tag[0])
            text = text[tag.end() :]
        held = _length_of_beginning(text)
        if held:
            self._held = text[-held:]
            text = text[:-held]
        return self._add(found, text)

    def stop_assuming(self) -> None:
        """Note that the server itself tells thoughts from text."""
        if self._place is Place.ASSUMED_THOUGHT:
            self._place = Place.TEXT

    def end(self) -> Split:
        """Return what was held back, now that the reply has ended."""
        held, self._held = self._held, ""
        return self._add(Split(), held)

    @property
    def is_unconfirmed(self) -> bool:
        """Whether all of it may have been text: a thought was assumed, and no tag came."""
        return self._place is Place.ASSUMED_THOUGHT

    def _add(self, found: Split, text: str) -> Split:
        if not text:
            return found
        self._before = text[-1]
        if self._place is Place.TEXT:
            return Split(found.text + text, found.thought, found.takes_back)
        return Split(found.text, found.thought + text, found.takes_back)

    def _pass(self, found: Split, tag: str) -> Split:
        """Pass a tag; return what it makes of the text before it."""
        lower = tag.lower()
        in_text = self._place is Place.TEXT
        if in_text and self._before in QUOTES:
            return self._add(found, tag)
        if lower in DROPPED:
            return found
        was_first, self._saw_tag = not self._saw_tag, True
        if lower in OPENING:
            self._place = Place.THOUGHT
            return found
        assumed, self._place = self._place is Place.ASSUMED_THOUGHT, Place.TEXT
        self._before = ""
        self.lacks_first_tag = self.lacks_first_tag or assumed
        if not in_text or not was_first:
            return found
        self.lacks_first_tag = True
        return Split("", found.thought + found.text, takes_back=True)


def _length_of_beginning(text: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a tag."""
    lower = text[-_LONGEST:].lower()
    return next(
        (
            size
            for size in range(min(len(lower), _LONGEST - 1), 0, -1)
            if lower[-size:] in _BEGINNINGS
        ),
        0,
    )
