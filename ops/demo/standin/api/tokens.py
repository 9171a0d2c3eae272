"""Word pieces: the tokens of the stand-in.

The pieces of a text, put together, are the text again. So a reply can be streamed piece by piece. A
piece is a word with the space before it (long words are split), a punctuation mark, or any other
white-space character.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Final

MAX_PIECE_CHARS: Final = 10
"""Longest piece of a word, in characters. A longer word has several pieces, as with BPE."""

VOCABULARY: Final = 32_000
"""Token ids are below this: the size of the vocabulary of Mistral 7B."""

_PIECE: Final = re.compile(rf"<\|\w+\|>| ?\w{{1,{MAX_PIECE_CHARS}}}| ?[^\w\s]|\s")


def pieces(text: str) -> list[str]:
    """Return the word pieces of `text` in order. Joined, they are `text` again."""
    return _PIECE.findall(text)


def token_ids(text: str) -> list[int]:
    """Return an id below VOCABULARY for each piece. Equal pieces have equal ids."""
    return [zlib.crc32(piece.encode()) % VOCABULARY for piece in pieces(text)]


def chat_prompt(messages: Iterable[tuple[str, str]]) -> str:
    """Return the prompt for pairs of (role, text), with a marker around each.

    Each marker is one piece, like the control tokens of a chat template.
    """
    turns = "".join(f"<|{role}|>{text}<|end|>" for role, text in messages)
    return f"<|begin|>{turns}<|assistant|>"
