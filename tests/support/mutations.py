"""Ways to damage a recording, each drawn from a seeded random generator."""

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]

HEADER: Final = 512
"""Bytes in which most formats state rate, channels and lengths."""

NUMBERS: Final = [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 127, 128, 255, 256, 4_000, 65_535]
NUMBERS_WIDE: Final = [*NUMBERS, 768_001, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
RATES: Final = [0, 1, 100, 3_999, 4_000, 11_025, 96_000, 768_000, 768_001, 2**31 - 1, 2**32 - 1]
MAGIC: Final = [
    b"RIFF\xff\xff\xff\xffWAVEfmt ", b"fLaC\0\0\0\x22", b"OggS\0\x02", b"ID3\x04\0\0",
    b"\xff\xfb\x90\x44", b"\0\0\0\x18ftypM4A ", b"\x1aE\xdf\xa3", b"FORM\0\0\0\xffAIFFCOMM",
    b".snd\0\0\0\x18", b"caff\0\x01\0\0desc", b"\x0b\x77", b"\x7f\xfe\x80\x01", b"wvpk", b"TTA1",
    b"MAC ", b"#!AMR\n", b"MPCK", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FLV\x01\x05",
    b".RMF\0\0\0\x12", b"G@\0\x10", b"NIST_1A\n   1024\n", b"Creative Voice File\x1a",
    b"#EXTM3U\n", b"ffconcat version 1.0\n", b"DSD ", b"SCRM", b"Extended Module: ",
    b"\xf8\x72\x6f\xba",
]  # fmt: skip
"""How files of many formats begin, those that no library here can write among them."""


def flip_bits(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    damaged = bytearray(data)
    for _time in range(random.choice([1, 1, 3, 10, 100])):
        damaged[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def flip_header(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    damaged = bytearray(data)
    for _time in range(random.choice([1, 1, 2, 5])):
        damaged[random.randrange(min(HEADER, len(data)))] = random.randrange(256)
    return bytes(damaged)


def state_number(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Overwrite a field of the header, or of the last kilobyte, where some formats keep it."""
    form = random.choice(["<H", ">H", "<I", ">I", "<Q", ">Q", "<d", ">d"])
    wide = random.choice(NUMBERS if form[1] == "H" else NUMBERS_WIDE)
    field = struct.pack(form, wide if form[1] != "Q" else wide << random.choice([0, 31]))
    near = random.randrange(min(HEADER, len(data)))
    return _overwrite(data, random.choice([near, max(0, len(data) - near - len(field))]), field)


def state_rate(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Overwrite a rate where the file states one."""
    places = [
        (data.find(struct.pack(form, rate)), form)
        for rate in (8_000, 16_000, 44_100, 48_000)
        for form in ("<I", ">I", "<d", ">d")
    ]
    found = [(at, form) for at, form in places if at >= 0]
    if not found:
        return state_number(random, data, _)
    at, form = random.choice(found)
    return _overwrite(data, at, struct.pack(form, random.choice(RATES)))


def truncate(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: random.choice([random.randrange(1, len(data)), random.randrange(1, HEADER)])]


def delete_piece(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at, length = random.randrange(len(data)), random.choice([1, 4, 100, 5_000])
    return data[:at] + data[at + length :]


def repeat_piece(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at, length = random.randrange(len(data)), random.choice([1, 4, 100, 5_000])
    return data[:at] + data[at : at + length] * random.choice([2, 3, 50]) + data[at + length :]


def overwrite_piece(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data))
    return _overwrite(data, at, random.randbytes(random.choice([4, 16, 200, 4_000])))


def splice(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The beginning of one file and the end of another."""
    other = random.choice(others)
    return data[: random.randrange(1, len(data))] + other[random.randrange(len(other)) :]


def invent(random: Random, _: bytes, __: Sequence[bytes]) -> bytes:
    length = random.choice([1, 20, 200, 5_000, 60_000])
    return random.choice([b"", *MAGIC]) + random.randbytes(length)


def _overwrite(data: bytes, at: int, field: bytes) -> bytes:
    return data[:at] + field + data[at + len(field) :]


MUTATIONS: Final[Sequence[Mutation]] = [
    flip_bits,
    flip_header,
    flip_header,
    state_number,
    state_number,
    state_rate,
    truncate,
    delete_piece,
    repeat_piece,
    overwrite_piece,
    splice,
    invent,
]


def mutate(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a damaged file: one mutation, or a few on top of each other."""
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        data = random.choice(MUTATIONS)(random, data, others)
        if len(data) < 2:
            return data or b"\0"
    return data
