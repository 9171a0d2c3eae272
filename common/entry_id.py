"""The ids of stream entries: `1700000000000-3` is entry 3 of that millisecond of Redis's clock."""

import re
from typing import Final

FORM: Final = r"[0-9]{1,19}-[0-9]{1,19}"

OLDEST: Final = "0-0"
"""An id before every entry."""

LAST_ID: Final = f"{2**64 - 1}-{2**64 - 1}"
"""The last id that a stream can hold: two unsigned numbers of 64 bits (Redis: XADD). None comes
after it, and Redis refuses to look there."""

NEWEST: Final = "$"
"""Redis's word for the id of the newest entry that there is."""


def is_entry_id(text: str) -> bool:
    """Tell whether a person may have meant an entry; the part behind the `-` may be missing."""
    return bool(re.fullmatch(rf"{FORM}|[0-9]{{1,19}}", text))


def sort_key(entry: str) -> tuple[int, int]:
    """Return the id as two numbers, which sort as the entries of a stream do.

    An id without the part behind the `-` means entry 0 of its millisecond.
    """
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)


def added_at_ms(entry: str | bytes) -> int:
    """Return when the entry was added, in ms of Redis's clock."""
    return sort_key(entry.decode() if isinstance(entry, bytes) else entry)[0]


def first_since(milliseconds: float) -> str:
    """Return an id before all entries that were added later than this, in ms of Redis's clock."""
    return f"{max(0, round(milliseconds))}-0"
