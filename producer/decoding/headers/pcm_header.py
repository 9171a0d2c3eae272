"""Headers of uncompressed audio that state a wrong length.

A recorder writes the header first, and fills in the length at the end. If it was killed, the length
is 0, or that of the moment when it was written last, or as large as the field allows. The libraries
believe it. Here all audio that is there is found; the same for WAV, RF64, AIFF, AU and CAF.
"""

import os
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from producer.decoding.headers.spliced_file import Part

_SEARCHED: Final = 2**20
"""Bytes at the beginning in which a chunk is looked for where sizes lead astray."""

_MOST_CHUNKS: Final = 1_000
"""Before the audio; a file with more is damaged."""

_OPEN_FROM: Final = 2**31 - 2**16
"""Bytes. A length from here on, in a file that is shorter, is what writers to a pipe state: the
most that a signed or an unsigned field holds, less their header. It promises nothing."""


@dataclass(frozen=True, slots=True)
class PcmFile:
    """What a header states, and what is there.

    `pieces` make a file with the right length where the header's is wrong; else there are none.
    `missing` tells which part of the stated audio is not there; it is less than 1.
    """

    pieces: tuple[bytes | Part, ...] = ()
    missing: float = 0.0


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    """Where its content begins."""
    stated: int
    """Bytes of its content by its header."""


class _Form(NamedTuple):
    """How a format writes its chunks; `size` is in bytes, and `pad` makes chunks even."""

    first: int
    size: struct.Struct
    pad: int
    audio: bytes
    inner: int
    """Bytes between the beginning of the audio chunk's content and the first sample."""


_RIFF: Final = _Form(12, struct.Struct("<I"), 2, b"data", 0)
_AIFF: Final = _Form(12, struct.Struct(">I"), 2, b"SSND", 8)
_CAF: Final = _Form(8, struct.Struct(">q"), 1, b"data", 4)


def examine(descriptor: int) -> PcmFile:
    """Compare the length in a seekable file's header with the file.

    A file of another format is left as it is.
    """
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, 12, 0)
    if head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:12] == b"WAVE":
        return _examine_wave(descriptor, size, is_long=head[:4] != b"RIFF")
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return _examine_chunks(descriptor, size, _AIFF)
    if head[:4] == b"caff":
        return _examine_chunks(descriptor, size, _CAF)
    if head[:4] == b".snd":
        return _examine_au(head, size)
    if head[:4] == b"riff":
        return _examine_wave64(descriptor, size)
    return PcmFile()


def _examine_wave(descriptor: int, size: int, *, is_long: bool) -> PcmFile:
    form = _find(descriptor, size, b"fmt ", _RIFF)
    audio = _find(descriptor, size, b"data", _RIFF)
    if form is None or audio is None or form.stated > 2**16:
        return PcmFile()
    stated = audio.stated
    if is_long and stated == 2**32 - 1:
        long = _find(descriptor, size, b"ds64", _RIFF)
        sizes = os.pread(descriptor, 16, long.start) if long else b""
        # https://tech.ebu.ch/docs/tech/tech3306.pdf: the sizes of the file and of the audio
        stated = struct.unpack("<QQ", sizes)[1] if len(sizes) == 16 else 0
        stated = min(stated, 2**63 - 1)
    there = _audio_there(descriptor, size, audio.start, stated, _RIFF)
    is_reached = _reaches(descriptor, b"data", audio)
    missing = _missing(stated, size - audio.start)
    if is_reached and (there == stated or missing):
        return PcmFile(missing=missing)
    content = Part(audio.start, there)
    fmt = os.pread(descriptor, form.stated, form.start)
    fmt += bytes(len(fmt) % 2)
    total = 4 + 8 + 28 + 8 + len(fmt) + 8 + there
    header = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<IQQQI", 28, total, there, 0, 0)
    header += b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data\xff\xff\xff\xff"
    return PcmFile((header, content), missing)


def _examine_chunks(descriptor: int, size: int, form: _Form) -> PcmFile:
    """Examine a file in which it is enough to overwrite the sizes."""
    audio = _find(descriptor, size, form.audio, form)
    if audio is None:
        return PcmFile()
    there = _audio_there(descriptor, size, audio.start, audio.stated, form)
    missing = _missing(audio.stated, size - audio.start)
    if there == audio.stated or missing:
        return PcmFile(missing=missing)
    at = audio.start - form.size.size
    if form is _CAF:
        return PcmFile((Part(0, at), form.size.pack(there), Part(audio.start, there)))
    return PcmFile(
        (
            b"FORM" + struct.pack(">I", min(size - 8, 2**32 - 1)),
            *_with_frames(descriptor, size, at, there - form.inner),
            form.size.pack(min(there, 2**32 - 1)),
            Part(audio.start, there),
        )
    )


def _with_frames(descriptor: int, size: int, end: int, audio: int) -> tuple[bytes | Part, ...]:
    """Return an AIFF from its ninth byte to `end`, with the number of samples that are there."""
    common = _find(descriptor, size, b"COMM", _AIFF)
    if common is None or common.start + 8 > end:
        return (Part(8, end - 8),)
    channels, _, bits = struct.unpack(">hIh", os.pread(descriptor, 8, common.start))
    frame = channels * ((bits + 7) // 8)
    if frame <= 0:
        return (Part(8, end - 8),)
    at = common.start + 2
    count = struct.pack(">I", min(audio // frame, 2**32 - 1))
    return Part(8, at - 8), count, Part(at + 4, end - at - 4)


def _examine_au(head: bytes, size: int) -> PcmFile:
    start, stated = struct.unpack(">II", head[4:12])
    left = size - start
    if left <= 0 or stated in {left, 2**32 - 1}:
        return PcmFile()
    if missing := _missing(stated, left):
        return PcmFile(missing=missing)
    return PcmFile((head[:8], b"\xff\xff\xff\xff", Part(12, size - 12)))


def _examine_wave64(descriptor: int, size: int) -> PcmFile:
    """Find out what a Sony Wave64 lacks; libsndfile ignores what its header states."""
    at = 40  # behind the identifiers of the file and of the form, 16 bytes each, and a length
    while len(head := os.pread(descriptor, 24, at)) == 24:
        stated = int.from_bytes(head[16:], "little")  # with its header
        if head[:4] == b"data":
            return PcmFile(missing=_missing(min(stated - 24, 2**63 - 1), size - at - 24))
        if stated < 24:
            break
        at += stated + -stated % 8
    return PcmFile()


def _audio_there(descriptor: int, size: int, start: int, stated: int, form: _Form) -> int:
    """Return how many bytes of audio there are: as stated only if a chunk follows, or the end."""
    end = start + stated
    if stated <= form.inner or end >= size:
        return size - start
    after = end + (stated % form.pad if form.pad > 1 else 0)
    return stated if _is_chunk(descriptor, size, after, form) else size - start


def _missing(stated: int, left: int) -> float:
    if left <= 0 or stated <= left or (stated >= _OPEN_FROM and left < _OPEN_FROM):
        return 0.0
    return (stated - left) / stated


def _is_chunk(descriptor: int, size: int, at: int, form: _Form) -> bool:
    """Return whether a chunk begins here, or nothing that is worth a word."""
    if size - at < 64:
        return True
    head = os.pread(descriptor, 4 + form.size.size, at)
    return _is_name(head[:4]) and 0 <= form.size.unpack(head[4:])[0] <= size - at


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _find(descriptor: int, size: int, kind: bytes, form: _Form) -> _Chunk | None:
    """Return the first chunk of a kind; where the sizes lead astray, the first place of its name.

    The chunks before may lack the byte that makes them even, or state a wrong size.
    """
    at = form.first
    length = 4 + form.size.size
    for _ in range(_MOST_CHUNKS):
        head = os.pread(descriptor, length, at)
        if len(head) < length or not _is_name(head[:4]):
            break
        stated = form.size.unpack(head[4:])[0]
        if head[:4] == kind:
            return _Chunk(kind, at + length, stated)
        if stated < 0:
            break
        at += length + stated
        if stated % form.pad and not _is_name(os.pread(descriptor, 4, at)):
            at += 1
    begin = os.pread(descriptor, _SEARCHED, 0)
    at = begin.find(kind, form.first)
    if at < 0 or at + length > min(size, len(begin)):
        return None
    return _Chunk(kind, at + length, form.size.unpack(begin[at + 4 : at + length])[0])


def _reaches(descriptor: int, kind: bytes, found: _Chunk) -> bool:
    """Return whether a library that believes all sizes of a WAV gets to this chunk."""
    at = _RIFF.first
    for _ in range(_MOST_CHUNKS):
        head = os.pread(descriptor, 8, at)
        if len(head) < 8:
            return False
        if head[:4] == kind:
            return at + 8 == found.start
        stated = _RIFF.size.unpack(head[4:])[0]
        at += 8 + stated + stated % 2
    return False
