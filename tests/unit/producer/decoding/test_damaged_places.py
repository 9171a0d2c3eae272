"""A recording that is damaged in the middle is used before that place and behind it, at its own
times; a sentence tells it. So is what ends before the length in its header."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.stepped_tones import hear, write_tones

SECONDS = 8
CASES = [
    ("talk.aac", "aac", "adts"),
    ("talk.m4a", "aac", "mp4"),
    ("talk.mp4", "aac", "mov"),
    ("talk.ts", "aac", "mpegts"),
    ("talk.mkv", "aac", "matroska"),
    ("talk.flv", "aac", "flv"),
    ("talk.flac", "flac", "flac"),
    ("talk.ogg", "libopus", "ogg"),
    ("talk.oga", "vorbis", "ogg"),
    ("talk.vob", "mp2", "vob"),
    ("talk.ac3", "ac3", "ac3"),
]


@pytest.mark.parametrize(("name", "codec", "container"), CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_comes_after_a_few_bad_bytes_is_used_too(
    tmp_path: Path, name: str, codec: str, container: str, seed: int
) -> None:
    path = tmp_path / name
    data = bytearray(write_tones(path, codec, range(SECONDS), container=container, **shape(codec)))
    at = len(data) // 2
    data[at : at + 200] = np.random.default_rng(seed).bytes(200)
    path.write_bytes(data)
    heard = hear(path)
    # a page of Ogg and a frame of FLAC may hold a second and more
    lost = [step for step in range(SECONDS) if heard.steps[step : step + 1] != [step]]
    assert len(lost) <= 2, heard
    assert {0, 1, 6, 7}.isdisjoint(lost), heard
    assert heard.error.startswith(f"{name} is damaged")
    assert heard.error.endswith(" was used")


def shape(codec: str) -> dict[str, Any]:
    """Of a recording that an encoder takes."""
    rate = 16_000 if codec in {"aac", "flac"} else 48_000
    return {"rate": rate, "layout": "stereo" if codec == "vorbis" else "mono"}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("talk.mp4", "aac", {"movflags": "faststart"}),
        ("talk.mov", "pcm_s16le", {"movflags": "faststart"}),
        ("talk.mkv", "aac", {}),
        ("talk.webm", "libopus", {}),
        ("talk.flac", "flac", {}),
        ("talk.mp3", "libmp3lame", {}),
        ("talk.wma", "wmav2", {}),
        ("talk.avi", "pcm_s16le", {}),
        ("talk.flv", "aac", {}),
        ("talk.tta", "tta", {}),
        ("talk.wv", "wavpack", {}),
    ],
)
def test_what_ends_before_its_length_is_said(
    tmp_path: Path, name: str, codec: str, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    rate = 48_000 if codec == "libopus" else 16_000
    data = write_tones(path, codec, range(SECONDS), rate=rate, **options)
    assert hear(path).error == ""
    path.write_bytes(data[: len(data) * 6 // 10])
    heard = hear(path)
    assert heard.steps[:3] == [0, 1, 2]
    assert len(heard.steps) < SECONDS - 2
    assert heard.error.startswith(f"{name} is damaged")
    assert "used" in heard.error


def test_a_recording_whose_length_is_stated_nowhere_ends_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "live.webm"
    write_tones(path, "libopus", range(3), rate=48_000, live="1")
    heard = hear(path)
    assert (heard.steps, heard.error) == ([0, 1, 2], "")
