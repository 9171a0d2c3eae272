"""Files that hold several recordings, one after the other: chained Ogg, and WAVs joined by `cat`.

In Ogg this is allowed (RFC 3533, section 4, "sequential multiplexing"); each link may have another
codec, rate and number of channels. The libraries read the first one, or those that are like it. So
each part is read as a file of its own. (FFmpeg itself reads joined MP3, AAC, FLAC and MPEG-TS.)
"""

import os
from typing import Final, NamedTuple

from producer.decoding.headers.spliced_file import Part

_PAGE: Final = 27
"""Bytes of a page's header before its table of segments (RFC 3533, section 6)."""

_FIRST: Final = 0x02
_LAST: Final = 0x04
"""Flags of the page with which a stream begins or ends."""

_MARKER: Final = b"OggS"

_SEARCHED: Final = 64 * 1024
"""Bytes read at a time while the next page is looked for; no page is longer."""


class Parts(NamedTuple):
    """The recordings in a file, in their order; `is_cut` if the last one lacks its end."""

    parts: tuple[Part, ...]
    is_cut: bool = False


def find_parts(descriptor: int) -> Parts:
    """Find the recordings in a seekable file; it is one part unless it is of a kind above."""
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, 4, 0)
    if head == _MARKER:
        return _find_links(descriptor, size)
    if head == b"RIFF":
        return _find_waves(descriptor, size)
    return Parts((Part(0, size),))


def _find_links(descriptor: int, size: int) -> Parts:
    starts = [0]
    is_within = False
    flags = 0
    at: int | None = 0
    while at is not None and at < size:
        head = os.pread(descriptor, _PAGE + 255, at)
        if head[:4] != _MARKER or len(head) < _PAGE:
            at = _find_page(descriptor, at + 1)
            continue
        flags = head[5]
        if flags & _FIRST and is_within:
            starts.append(at)
        is_within = not flags & _FIRST
        at += _PAGE + head[26] + sum(head[_PAGE : _PAGE + head[26]])
    ends = [*starts[1:], size]
    parts = tuple(Part(start, end - start) for start, end in zip(starts, ends, strict=True))
    return Parts(parts, is_cut=not flags & _LAST or (at or size) > size)


def _find_page(descriptor: int, at: int) -> int | None:
    """Return where the next page begins, at or after a place."""
    while len(data := os.pread(descriptor, _SEARCHED, at)) >= len(_MARKER):
        if (found := data.find(_MARKER)) >= 0:
            return at + found
        at += len(data) - len(_MARKER) + 1
    return None


def _find_waves(descriptor: int, size: int) -> Parts:
    starts = [0]
    while True:
        stated = int.from_bytes(os.pread(descriptor, 4, starts[-1] + 4), "little")
        after = starts[-1] + 8 + stated + stated % 2
        head = os.pread(descriptor, 12, after)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            break
        starts.append(after)
    ends = [*starts[1:], size]
    return Parts(tuple(Part(start, end - start) for start, end in zip(starts, ends, strict=True)))
