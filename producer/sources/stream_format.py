"""What the first bytes of a pipe are: raw samples, a recording in some format, or no audio."""

from collections.abc import Callable
from typing import Final, NamedTuple

ENOUGH: Final = 4_096
"""Bytes after which the format is certain: two frames of MPEG audio, three packets of MPEG-TS."""

_MAGIC: Final = (
    (8, b"AVI ", "AVI"),
    (0, b"RIFF", "WAV"),
    (0, b"RF64", "WAV"),
    (0, b"BW64", "WAV"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b".snd", "AU"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MP4"),
    (4, b"mdat", "MP4"),
    (4, b"wide", "MP4"),
    (4, b"free", "MP4"),
    (4, b"skip", "MP4"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
    (0, b"FLV\x01", "FLV"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"TTA1", "TTA"),
    (0, b"TTA2", "TTA"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b".RMF", "RealMedia"),
    (0, b"\x00\x00\x01\xba", "MPEG-PS"),
    (0, b"nut/multimedia", "NUT"),
    (0, b"\x06\x0e\x2b\x34", "MXF"),
    (0, b"#!SILK", "SILK"),
    (0, b"Creative Voice File", "VOC"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
)
"""Where a format has which bytes, and what people call it."""

_OTHER: Final = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
)

_MP4_BOXES: Final = 16 * 2**20
"""Bytes. The first box of an MP4 is not longer, unless it is its audio."""

_BITRATES: Final = {
    # kbit/s, by the version (1, or 2 for 2 and 2.5) and the layer: ISO/IEC 11172-3, 2.4.2.3
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}

_TS_PACKET: Final = 188


class StreamFormat(NamedTuple):
    """What a stream carries. `is_audio`: it may hold audio, and a decoder reads it."""

    name: str
    is_audio: bool


def recognise(head: bytes) -> StreamFormat | None:
    """Return what begins with these bytes; None if they can only be raw samples."""
    for place, magic, name in _MAGIC:
        if head[place : place + len(magic)] == magic and (place != 4 or _is_box(head)):
            return StreamFormat(name, is_audio=True)
    for magic, name in _OTHER:
        if head.startswith(magic):
            return StreamFormat(name, is_audio=False)
    if _is_frame(head, _mpeg_length):
        return StreamFormat("MP3", is_audio=True)
    if _is_frame(head, _adts_length):
        return StreamFormat("AAC", is_audio=True)
    if len(head) > 2 * _TS_PACKET and all(head[n * _TS_PACKET] == 0x47 for n in range(3)):
        return StreamFormat("MPEG-TS", is_audio=True)
    if head[:2] == b"\x0b\x77" and len(head) > 5 and head[4] >> 6 < 3:
        return StreamFormat("AC-3", is_audio=True)
    if len(head) >= 64 and _is_text(head):
        return StreamFormat("text", is_audio=False)
    return None


def is_certain(head: bytes) -> bool:
    """Return whether more bytes can tell nothing new about what `recognise` says."""
    if len(head) >= ENOUGH:
        return True
    begins_frame = head[:1] in {b"\xff", b"\x47", b"\x0b"} or _is_text(head[:16])
    return len(head) >= 16 and not begins_frame


def _is_box(head: bytes) -> bool:
    size = int.from_bytes(head[:4], "big")
    return size in {0, 1} or 8 <= size <= _MP4_BOXES or head[4:8] == b"mdat"


def _is_text(head: bytes) -> bool:
    return bool(head) and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head[:512])


def _is_frame(head: bytes, length: Callable[[bytes], int]) -> bool:
    """Return whether a frame begins here, and another one behind it."""
    size = length(head[:8])
    return size > 0 and length(head[size : size + 8]) > 0


def _mpeg_length(header: bytes) -> int:
    """Return the bytes of a frame of MPEG audio; 0 if this is none (ISO/IEC 11172-3, 2.4.1.3)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in {0, 15} or rate == 3:
        return 0
    kbits = _BITRATES[1 if version == 3 else 2, layer][bitrate - 1]
    hertz = _RATES[version][rate]
    if layer == 1:
        return (12_000 * kbits // hertz + padding) * 4
    samples = 72_000 if layer == 3 and version != 3 else 144_000
    return samples * kbits // hertz + padding


def _adts_length(header: bytes) -> int:
    """Return the bytes of a frame of AAC in ADTS; 0 if this is none (ISO/IEC 13818-7, 6.2)."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 else 0
