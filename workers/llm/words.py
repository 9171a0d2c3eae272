"""How long a text is, in words, also in languages that put no blanks between them."""

import re
from typing import Final

BLANKLESS: Final = re.compile(
    "[\u0e00-\u0eff]"  # Thai, Lao
    "|[\u0f00-\u0fff\u1000-\u109f\uaa60-\uaa7f]"  # Tibetan, Burmese
    "|[\u1780-\u17ff\u1950-\u19df]"  # Khmer, Tai Le
    "|[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]"  # Japanese kana
    "|[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # Chinese characters
)
"""A character of a script that writes words without blanks between them."""

BYTES_PER_WORD: Final = 6
"""Of such a script, in UTF-8: two Chinese characters. An English word with its blank has about
6 bytes as well. A Thai word has twice as many, and needs more tokens for that."""


def count_words(text: str) -> int:
    """Return how many words a text has: pieces between blanks, or what is as long as they are."""
    return sum(map(_words_in, text.split()))


def _words_in(piece: str) -> int:
    blankless = BLANKLESS.findall(piece)
    if not blankless:
        return 1
    others = 1 if len(blankless) < len(piece) else 0
    return max(1, round(len("".join(blankless).encode()) / BYTES_PER_WORD)) + others
