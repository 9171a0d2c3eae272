"""Writing over parts of an outbox's file."""

from pathlib import Path
from typing import Final

from producer.storage.database import PAGE_BYTES
from tests.support.outboxes import AUDIO

BIG: Final = AUDIO * 100
COUNT: Final = 60
NAMES: Final = [f"u{number}" for number in range(COUNT)]


def write(path: Path, page: int, data: bytes) -> None:
    """Write over a file from a page on; they count from 1."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(data)


_KINDS: Final = {0x05: "internal", 0x0D: "leaf"}
"""The first byte of a page of a table (sqlite.org/fileformat.html#b_tree_pages)."""

_OTHER_TABLES: Final = (1, 3, 4)


def pages_of(path: Path, kind: str) -> list[int]:
    """The pages of the utterances' table: `internal`, `leaf` or `overflow`."""
    content = path.read_bytes()
    return [
        page
        for page in range(1, 1 + len(content) // PAGE_BYTES)
        if page not in _OTHER_TABLES
        and _KINDS.get(content[(page - 1) * PAGE_BYTES], "overflow") == kind
    ]


def damaged(folder: Path) -> list[str]:
    """The names under which damaged files are kept."""
    return sorted(path.name for path in folder.glob("*.damaged-*"))
