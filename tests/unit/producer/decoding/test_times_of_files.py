"""Times count from the beginning of a recording, wherever its own clock begins and whatever it
does; the first track that can be decoded is heard."""

import struct
from pathlib import Path

import pytest

from producer.decoding.timeline import Timeline
from tests.support.stepped_tones import hear, write_tones

SEVEN_HOURS = 7 * 3_600.0
WALL_TIME = 1_790_000_000.0


@pytest.mark.parametrize(
    ("name", "codec", "starts"),
    [
        ("a.mkv", "aac", [0.0, 3.0, SEVEN_HOURS, WALL_TIME]),
        ("a.webm", "libopus", [SEVEN_HOURS, WALL_TIME]),
        ("a.m4a", "aac", [3.0, SEVEN_HOURS]),
        ("a.mov", "pcm_s16le", [SEVEN_HOURS]),
        ("a.flv", "aac", [0.0, SEVEN_HOURS]),
        ("a.wma", "wmav2", [3.0, SEVEN_HOURS]),
        ("a.nut", "pcm_s16le", [WALL_TIME]),
        # its clock has 33 bits of 90 kHz: it begins again after 26.5 hours
        ("a.ts", "aac", [0.0, SEVEN_HOURS, 2**33 / 90_000 - 1.5]),
        ("a.vob", "mp2", [0.0, SEVEN_HOURS]),
    ],
)
def test_a_clock_that_does_not_begin_at_zero(
    tmp_path: Path, name: str, codec: str, starts: list[float]
) -> None:
    path = tmp_path / name
    rate = 48_000 if codec in {"libopus", "mp2"} else 16_000
    container = {"vob": "vob", "wma": "asf", "m4a": "mp4"}.get(name[2:])
    for start_s in starts:
        write_tones(path, codec, range(3), rate=rate, container=container, start_s=start_s)
        heard = hear(path)
        assert (heard.steps, heard.error) == ([0, 1, 2], ""), start_s


def test_a_stream_whose_clock_jumps_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    first = write_tones(path, "aac", range(3), container="mpegts")
    second = write_tones(path, "aac", range(3, 6), container="mpegts", start_s=SEVEN_HOURS)
    for data, steps in ((first + second, [0, 1, 2, 3, 4, 5]), (second + first, [3, 4, 5, 0, 1, 2])):
        path.write_bytes(data)
        heard = hear(path)
        assert heard.steps == steps


def test_a_gap_is_silence_and_a_jump_is_none() -> None:
    stated = Timeline(100.0, 60.0, may_restart=False)
    assert stated.missing(100.0, 0.0) == 0
    assert stated.missing(100.05, 0.0) == 0, "rounding"
    assert stated.missing(130.0, 1.0) == pytest.approx(29.0)
    assert stated.missing(100.0 + 3_600, 30.0) == 0, "beyond the end of the file"
    assert stated.missing(100.0 + 3_602, 31.0) == pytest.approx(1.0), "by the new clock"
    live = Timeline(0.0, 0.0, may_restart=True)
    assert live.missing(8.0, 0.0) == pytest.approx(8.0)
    assert live.missing(20_000.0, 9.0) == 0
    assert live.missing(5.0, 20.0) == 0
    assert live.missing(7.0, 20.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("name", "codec", "container", "marker", "instead"),
    [
        ("a.mov", "pcm_s16le", "mov", b"sowt", b"zzzz"),
        ("a.mp4", "ac3", "mp4", b"ac-3", b"zz-3"),
        ("a.mkv", "ac3", "matroska", b"A_AC3", b"A_XYZ"),
    ],
)
def test_the_second_track_is_heard_where_the_first_cannot_be_decoded(
    tmp_path: Path, name: str, codec: str, container: str, marker: bytes, instead: bytes
) -> None:
    path = tmp_path / name
    write_tones(path, codec, range(3), container=container, rate=48_000, tracks=2)
    data = path.read_bytes()
    at = data.index(marker)
    path.write_bytes(data[:at] + instead + data[at + len(marker) :])
    heard = hear(path)
    assert (heard.steps, heard.error) == ([0, 1, 2], "")
    path.write_bytes(data.replace(marker, instead))
    assert hear(path).error.startswith(f"{name} is ")


def test_the_second_track_is_heard_where_the_first_holds_nothing_that_is_audio(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.mkv"
    data = bytearray(write_tones(path, "aac", range(3), container="matroska", tracks=2))
    at = 0
    while (at := data.find(b"\xa3", at + 1)) > 0:  # a SimpleBlock; the track's number behind a size
        for length in (1, 2):
            track = at + 1 + length
            if data[track : track + 1] == b"\x81" and data[track + 3 : track + 4] == b"\x80":
                size = int.from_bytes(data[at + 1 : track], "big") & (
                    0x7F if length == 1 else 0x3FFF
                )
                data[track + 4 : track + size] = bytes(size - 4)
    path.write_bytes(data)
    heard = hear(path)
    assert heard.steps == [0, 1, 2]


def test_a_track_of_an_unknown_length_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    data = write_tones(path, "pcm_s16le", range(3))
    at = data.index(b"\x44\x89\x88")
    path.write_bytes(data[:at] + b"\xec\x88" + struct.pack(">Q", 0) + data[at + 11 :])
    heard = hear(path)
    assert (heard.steps, heard.error) == ([0, 1, 2], "")
