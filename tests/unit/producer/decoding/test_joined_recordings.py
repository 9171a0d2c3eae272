"""A file that was joined of several recordings is read to its end: chained Ogg, MP3s put together
by `cat`, and the like, whatever their rates and channels."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.stepped_tones import hear, write_tones

ID3 = b"ID3\x03\0\0\0\0\x08\x00TIT2" + struct.pack(">I", 20) + bytes(3 + 20 + 991)
"""A tag with a title, filled up to 1,034 bytes."""

ID3V1 = b"TAG" + b"a talk".ljust(125, b"\0")


@pytest.fixture
def part(tmp_path: Path) -> Callable[..., bytes]:
    def write(codec: str, first: int, **how: object) -> bytes:
        """Three seconds, with the step `first` and two more."""
        path = tmp_path / "part"
        return write_tones(path, codec, range(first, first + 3), **how)  # type: ignore[arg-type]

    return write


@pytest.mark.parametrize("between", [b"", ID3, ID3V1, ID3V1 + ID3], ids=["", "v2", "v1", "both"])
@pytest.mark.parametrize(
    ("rate", "layout"), [(16_000, "mono"), (44_100, "stereo"), (48_000, "mono"), (22_050, "stereo")]
)
def test_joined_mp3s(
    tmp_path: Path, part: Callable[..., bytes], between: bytes, rate: int, layout: str
) -> None:
    first = part("libmp3lame", 0, container="mp3")
    second = part("libmp3lame", 3, container="mp3", rate=rate, layout=layout)
    path = tmp_path / "joined.mp3"
    path.write_bytes(ID3 + first + between + second)
    heard = hear(path)
    assert (heard.steps, heard.error) == ([0, 1, 2, 3, 4, 5], "")


OGG = [
    ("libopus", "mono", 48_000),
    ("libopus", "stereo", 24_000),
    ("vorbis", "stereo", 44_100),
    ("vorbis", "stereo", 16_000),
    ("flac", "stereo", 16_000),
]


@pytest.mark.parametrize(("codec", "layout", "rate"), OGG)
@pytest.mark.parametrize(("other", "other_layout", "other_rate"), OGG[::2])
def test_chained_ogg(
    tmp_path: Path,
    part: Callable[..., bytes],
    codec: str,
    layout: str,
    rate: int,
    other: str,
    other_layout: str,
    other_rate: int,
) -> None:
    first = part(codec, 0, container="ogg", layout=layout, rate=rate)
    second = part(other, 3, container="ogg", layout=other_layout, rate=other_rate)
    path = tmp_path / "chained.ogg"
    path.write_bytes(first + second + first)
    heard = hear(path)
    assert (heard.steps, heard.error) == ([0, 1, 2, 3, 4, 5, 0, 1, 2], "")


@pytest.mark.parametrize("codec", ["libopus", "vorbis"])
def test_an_ogg_without_its_last_page_is_used_and_said(
    tmp_path: Path, part: Callable[..., bytes], codec: str
) -> None:
    whole = part(codec, 0, container="ogg", layout="stereo", rate=48_000)
    path = tmp_path / "cut.ogg"
    path.write_bytes(whole[: whole.rindex(b"OggS")])
    heard = hear(path)
    assert heard.steps == [0, 1, 2]
    assert heard.error.startswith("cut.ogg is damaged after ")
    assert "(it ends in the middle); what came before was used" in heard.error


@pytest.mark.parametrize(
    ("codec", "container"), [("aac", "adts"), ("flac", "flac"), ("aac", "mpegts"), ("ac3", "ac3")]
)
def test_others_that_are_joined(
    tmp_path: Path, part: Callable[..., bytes], codec: str, container: str
) -> None:
    rate = 48_000 if codec == "ac3" else 16_000
    first = part(codec, 0, container=container, rate=rate)
    second = part(codec, 3, container=container, rate=rate)
    path = tmp_path / f"joined.{container}"
    path.write_bytes(first + second)
    heard = hear(path)
    assert (heard.steps, heard.error) == ([0, 1, 2, 3, 4, 5], "")
