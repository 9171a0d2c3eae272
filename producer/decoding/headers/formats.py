"""What the first bytes of a recording tell about its format."""

from typing import Final

HEAD: Final = 64 * 1024
"""Bytes at the beginning of a file that tell what it is."""

_LENGTH_TAGS: Final = (b"Xing", b"Info", b"VBRI")
"""An MP3 that states its length has one of them in its first frame."""

_EBML: Final = b"\x1a\x45\xdf\xa3"

_DURATIONS: Final = (b"\x44\x89\x84", b"\x44\x89\x88")
"""Matroska's element Duration, a float of 4 or 8 bytes (RFC 9559, section 5.1.2.10)."""

_FIRST_FRAME: Final = 2_048
"""Bytes: no MP3 frame is longer."""


def is_for_ffmpeg(head: bytes) -> bool:
    """Return whether FFmpeg reads such a file better than libsndfile, which reads it as well.

    FFmpeg goes on behind a damaged place, and reads files that were joined of several.
    """
    return head[:4] in {b"OggS", b"fLaC"} or head[:3] == b"ID3" or _is_sync(head)


def states_length(head: bytes) -> bool:
    """Return whether the header of an MP3, Matroska or FLV states a length, as that of others does.

    Without it, the libraries guess by the bit rate of the beginning, and may be far off.
    """
    if head[:4] == _EBML:
        return any(element in head for element in _DURATIONS)
    if head[:3] == b"FLV":
        return b"duration" in head
    is_tagged = head[:3] == b"ID3"
    # https://id3.org/id3v2.3.0, "ID3v2 header"
    size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:10])))
    start = 10 + size if is_tagged else 0
    first = head[start : start + _FIRST_FRAME]
    return not _is_sync(first) or any(tag in first for tag in _LENGTH_TAGS)


def _is_sync(head: bytes) -> bool:
    """Return whether a frame of MPEG audio begins here: eleven bits that are set."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
