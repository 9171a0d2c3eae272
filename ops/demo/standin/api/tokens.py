"""Text to word pieces and back: what the stand-in counts as tokens.

Joining the pieces of a text gives the text again, so a reply can be streamed
piece by piece. A piece is a word with the space before it (long words are
split), a punctuation mark, or one leftover white-space character.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Final

MAX_PIECE_CHARS: Final = 10
"""Longest word piece, characters; longer words take several, as with BPE."""

VOCABULARY: Final = 32_000
"""Token ids lie below this: the size of Mistral 7B's vocabulary."""

_PIECE: Final = re.compile(rf"<\|\w+\|>| ?\w{{1,{MAX_PIECE_CHARS}}}| ?[^\w\s]|\s")


def pieces(text: str) -> list[str]:
    """The word pieces of `text`, in order; ``"".join`` of them is `text`."""
    return _PIECE.findall(text)


def token_ids(text: str) -> list[int]:
    """One id below `VOCABULARY` for each piece: equal pieces have equal ids."""
    return [zlib.crc32(piece.encode()) % VOCABULARY for piece in pieces(text)]


def chat_prompt(messages: Iterable[tuple[str, str]]) -> str:
    """The prompt that (role, text) pairs make, with a marker for each turn.

    The markers are single pieces, as the control tokens of a chat template are.
    """
    turns = "".join(f"<|{role}|>{text}<|end|>" for role, text in messages)
    return f"<|begin|>{turns}<|assistant|>"
