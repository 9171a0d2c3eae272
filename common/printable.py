"""Text that any terminal, log and reader of JSON takes.

On Linux the name of a file may hold any bytes. Python stands in for each byte that is no UTF-8 with
half of a surrogate pair (PEP 383).
"""

import re
from typing import Final

_HALF: Final = re.compile("[\ud800-\udfff]")

_BYTE: Final = range(0xDC80, 0xDD00)
"""The halves that stand for the bytes 0x80 to 0xFF."""


def to_printable(text: str) -> str:
    r"""Return a text with each byte that is no UTF-8 as an escape, `\xfc`.

    Other halves of surrogate pairs become a `?`.
    """
    return _HALF.sub(_escape, text)


def _escape(half: re.Match[str]) -> str:
    code = ord(half[0])
    return f"\\x{code - 0xDC00:02x}" if code in _BYTE else "?"
