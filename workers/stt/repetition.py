"""Cutting a text in which the model got into a loop: "and then, and then, and then, ..."."""

import re
from typing import Final

from workers.stt.noise import count_letters

LONGEST_UNIT: Final = 120
"""Characters of the piece that repeats itself."""

FASTEST: Final = 25.0
"""Letters for each second of sound, pauses included: more than anybody says. A fast speaker says 7
syllables a second, about 20 letters. A loop fills the model's 224 tokens, about 900 letters,
whatever the sound."""

LOOP: Final = re.compile(
    rf"(?P<unit>\S.{{0,{LONGEST_UNIT - 2}}}?\S)(?:[\s,.!?]*(?P=unit)){{3,}}",
    re.DOTALL | re.IGNORECASE,
)
"""A piece that follows itself at least three times. A text has at most 224 tokens, so this is
quick."""


def is_too_fast(text: str, audio_s: float) -> bool:
    """Return whether nobody can have said so much in so many seconds."""
    return count_letters(text) > FASTEST * max(audio_s, 1.0)


def is_loop(text: str) -> bool:
    """Return whether a text is one piece that repeats itself, and nothing else."""
    return LOOP.fullmatch(text.rstrip(" ,.!?")) is not None


def cut_loops(text: str) -> str:
    """Return the text with what repeats itself four times or more written once."""
    return LOOP.sub(lambda loop: loop["unit"], text)
