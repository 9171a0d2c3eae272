"""Characters that change the direction of text, and so what a terminal or an editor shows.

A text with them can look like another (https://trojansource.codes). Hebrew and Arabic need none
of them: their letters have a direction of their own.
"""

import re
from typing import Final

DIRECTION_CHANGES: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks, embeddings, overrides and isolates (Unicode Standard Annex #9, section 2)."""


def remove_direction_changes(text: str) -> str:
    """Return the text without these characters."""
    return DIRECTION_CHANGES.sub("", text)


def show_direction_changes(text: str) -> str:
    """Return the text with these characters written out, as JSON may write them."""
    return DIRECTION_CHANGES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
