"""Of an uncompressed recording all audio that is there is used, whatever length its header states;
what ends before that length is said."""

import re
import struct
from pathlib import Path

import pytest

from tests.support.stepped_tones import hear, write_wave

SECONDS = 4
AUDIO = SECONDS * 32_000
STEPS = list(range(SECONDS))


def patched(kind: str, marker: bytes, offset: int, form: str, *values: int) -> bytes:
    """A recording in which what stands so far behind a marker is overwritten."""
    data = bytearray(write_wave(range(SECONDS), kind))
    at = data.index(marker) + offset
    field = struct.pack(form, *values)
    data[at : at + len(field)] = field
    return bytes(data)


def killed_wave(stated: int, riff: int) -> bytes:
    data = patched("WAV", b"data", 4, "<I", stated)
    return data[:4] + struct.pack("<I", riff) + data[8:]


KILLED = {
    "nothing yet": killed_wave(0, 0),
    "nothing yet, as RIFF counts it": killed_wave(0, 36),
    "the header's length": killed_wave(36, 72),
    "the last time it was written": killed_wave(4_088, 4_124),
    "an odd number": killed_wave(1_001, 2_000),
    "as much as can be": killed_wave(2**32 - 1, 2**32 - 1),
    "as much as a signed number holds": killed_wave(2**31 - 1, 36),
    "that of a pipe, less its header": killed_wave(2**32 - 1 - 44, 2**32 - 9),
    "right, but RIFF's is not": killed_wave(AUDIO, 0),
    "RF64, nothing yet": patched("RF64", b"ds64", 8, "<QQQ", 0, 0, 0),
    "RF64, a moment ago": patched("RF64", b"ds64", 8, "<QQQ", 100, 64, 32),
    "RF64, all ones": patched("RF64", b"ds64", 8, "<qqq", -1, -1, -1),
    "W64, nothing yet": patched("W64", b"data\xf3", 16, "<Q", 0),
    "W64, a moment ago": patched("W64", b"data\xf3", 16, "<Q", 600),
    "AIFF, nothing yet": patched("AIFF", b"SSND", 4, ">I", 0),
    "AIFF, a moment ago": patched("AIFF", b"SSND", 4, ">I", 508),
    "AU, nothing yet": patched("AU", b".snd", 8, ">I", 0),
    "AU, a moment ago": patched("AU", b".snd", 8, ">I", 320),
    "CAF, nothing yet": patched("CAF", b"data", 4, ">q", 0),
    "CAF, a moment ago": patched("CAF", b"data", 4, ">q", 404),
    "CAF, to its end": patched("CAF", b"data", 4, ">q", -1),
}


@pytest.mark.parametrize("what", KILLED)
def test_all_audio_of_a_killed_recorder_is_used(tmp_path: Path, what: str) -> None:
    path = tmp_path / "killed"
    path.write_bytes(KILLED[what])
    heard = hear(path)
    assert (heard.steps, heard.error) == (STEPS, "")
    assert heard.seconds == pytest.approx(SECONDS, abs=0.01)


def with_chunk(chunk: bytes, *, stated: int = AUDIO) -> bytes:
    """A WAV with a chunk before its audio."""
    data = killed_wave(stated, 36)
    at = data.index(b"data")
    return data[:at] + chunk + data[at:]


BEFORE = {
    "odd, made even": b"LIST\x05\0\0\0INFOx\0",
    "odd, and not made even": b"LIST\x05\0\0\0INFOx",
    "filled up": b"JUNK" + struct.pack("<I", 4_000) + bytes(4_000),
    "with a wild size": b"bext\xff\xff\xff\x7f" + bytes(100),
    "that is cut off": b"iXML\x40\0\0\0<xml>",
}


@pytest.mark.parametrize("what", BEFORE)
@pytest.mark.parametrize("stated", [AUDIO, 0, 36])
def test_odd_chunks_before_the_audio_do_no_harm(tmp_path: Path, what: str, stated: int) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(with_chunk(BEFORE[what], stated=stated))
    heard = hear(path)
    assert (heard.steps, heard.error) == (STEPS, "")


def test_what_follows_the_audio_is_not_taken_for_audio(tmp_path: Path) -> None:
    path = tmp_path / "tagged.wav"
    path.write_bytes(
        write_wave(range(SECONDS)) + b"LIST" + struct.pack("<I", 64_000) + bytes(64_000)
    )
    heard = hear(path)
    assert (heard.steps, heard.error, heard.seconds) == (STEPS, "", SECONDS)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF"])
def test_what_ends_before_its_length_is_said(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cut"
    path.write_bytes(write_wave(range(SECONDS), kind)[: AUDIO // 2 + 4_000])
    heard = hear(path)
    assert heard.steps == STEPS[:2]
    assert re.match(r"cut is damaged.* after [12]\.\d s .* was used", heard.error)


def test_waves_joined_by_cat_are_read_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "joined.wav"
    path.write_bytes(write_wave(range(2)) + write_wave(range(2, 5)))
    heard = hear(path)
    assert (heard.steps, heard.error) == ([0, 1, 2, 3, 4], "")


def test_a_header_without_audio_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    for size in (44, 40):  # with and without the length of the audio
        path.write_bytes(write_wave(range(1))[:size])
        assert hear(path).error.startswith("empty.wav ")
        assert hear(path).steps == []
