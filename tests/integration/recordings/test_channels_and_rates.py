"""A recording may have any number of channels up to 64 and any rate from 4,000 to 768,000 Hz; it
comes out whole and in tune. What states more is refused with one sentence, at once."""

import struct
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from common.audio import MAX_CHANNELS, RECORDING_RATES, SAMPLE_RATE
from common.errors import BadInput
from producer.sources.audio_file import AudioFileSource
from tests.support.media_files import SECONDS, loudness, strongest_frequency, write_media


def read(path: Path) -> NDArray[np.int16]:
    with AudioFileSource(path) as source:
        return np.concatenate(list(source))


def assert_it_is_the_tone(audio: NDArray[np.int16]) -> None:
    assert len(audio) == pytest.approx(SECONDS * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    middle = audio[SAMPLE_RATE // 2 : 2 * SAMPLE_RATE]
    assert strongest_frequency(middle) == pytest.approx(440, abs=1)
    assert loudness(middle) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [
        ("eight.mov", "pcm_s16le", "7.1"),
        ("sixteen.mov", "pcm_s24le", "hexadecagonal"),
        ("surround.m4a", "aac", "7.1"),
        ("surround.mka", "flac", "7.1"),
        ("cinema.mov", "pcm_f32le", "22.2"),
        ("nine.mkv", "pcm_s16le", "9 channels"),
        ("seven.m4a", "alac", "6.1(back)"),
        ("surround.ac3", "ac3", "5.1"),
        ("eight.opus.webm", "libopus", "7.1"),
    ],
)
def test_the_channels_of_a_media_file_are_averaged(
    tmp_path: Path, name: str, codec: str, layout: str
) -> None:
    write_media(tmp_path / name, codec, layout)
    audio = read(tmp_path / name)
    # a bass channel of these codecs does not carry the tone
    if codec in {"aac", "ac3", "libopus"}:
        assert strongest_frequency(audio[SAMPLE_RATE // 2 : 2 * SAMPLE_RATE]) == pytest.approx(
            440, abs=1
        )
        assert len(audio) == pytest.approx(SECONDS * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    else:
        assert_it_is_the_tone(audio)


@pytest.mark.parametrize(("layout", "channels"), [("hexadecagonal", 16), ("7.1", 8), ("5.0", 5)])
def test_channels_in_an_order_of_their_own_are_averaged(
    tmp_path: Path, layout: str, channels: int
) -> None:
    path = tmp_path / "microphones.mov"
    write_media(path, "pcm_s16le", layout)
    data = path.read_bytes()
    at = data.index(b"chan") + 8
    # https://developer.apple.com/library/archive/documentation/MusicAudio/Reference/CAFSpec,
    # "Channel Layout Chunk": no layout with a name, but what each channel is, the last one "left"
    descriptions = b"".join(struct.pack(">II12x", n, 0) for n in range(channels, 0, -1))
    box = struct.pack(">III", 0, 0, channels) + descriptions
    size = struct.unpack(">I", data[at - 12 : at - 8])[0] - 12
    grown = data[:at] + box + data[at + size :]
    for kind in (b"chan", b"sowt", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = grown.rindex(kind) - 4
        length = struct.unpack(">I", grown[place : place + 4])[0] + len(box) - size
        grown = grown[:place] + struct.pack(">I", length) + grown[place + 4 :]
    path.write_bytes(grown)
    assert_it_is_the_tone(read(path))


@pytest.mark.parametrize("channels", [8, 9, 16, 63, MAX_CHANNELS])
def test_so_are_those_of_a_wav(tmp_path: Path, channels: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(SECONDS * 48_000)) / 48_000)
    soundfile.write(tmp_path / "a.wav", np.stack([tone] * channels, axis=1), 48_000)
    assert_it_is_the_tone(read(tmp_path / "a.wav"))


@pytest.mark.parametrize("name", ["a.wav", "a.mov"])
def test_more_channels_are_refused(tmp_path: Path, name: str) -> None:
    if name == "a.wav":
        soundfile.write(tmp_path / name, np.zeros((100, 65), np.int16), 16_000)
    else:
        write_media(tmp_path / name, "pcm_s16le", "stereo")
        data = (tmp_path / name).read_bytes()
        at = data.index(b"sowt") + 20  # in the description of the samples
        (tmp_path / name).write_bytes(data[:at] + struct.pack(">H", 65) + data[at + 2 :])
    with pytest.raises(BadInput, match=rf"{name} states 65 channels; up to 64 are accepted"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    "rate", [RECORDING_RATES.start, 5_512, 22_050, 192_000, 705_600, RECORDING_RATES[-1]]
)
def test_each_accepted_rate_is_converted(tmp_path: Path, rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(SECONDS * rate)) / rate)
    soundfile.write(tmp_path / "a.wav", tone, rate)
    assert_it_is_the_tone(read(tmp_path / "a.wav"))


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        *product(["a.wav", "a.aiff", "a.au", "a.mkv"], [1, 3_999, 768_001, 16_000_000]),
        ("a.wav", 2**31 - 1),
        ("a.au", 2**31 - 1),
    ],
)
def test_every_other_rate_is_refused(tmp_path: Path, name: str, rate: int) -> None:
    if name == "a.mkv":
        write_media(tmp_path / name, "pcm_s16le", "stereo", rate=16_000)
    else:
        soundfile.write(tmp_path / name, np.zeros(1_000, np.int16), 16_000)
    state_rate(tmp_path / name, rate)
    with pytest.raises(BadInput, match=rf"{name} states a rate of {rate} Hz; rates from 4000 to"):
        read(tmp_path / name)


def state_rate(path: Path, rate: int) -> None:
    """Overwrite the rate in a file's header."""
    data = path.read_bytes()
    match path.suffix:
        case ".wav":
            at, field = 24, struct.pack("<I", rate)
        case ".au":
            at, field = 16, struct.pack(">I", rate)
        case ".aiff":  # an 80-bit float
            exponent = rate.bit_length() - 1
            at = data.index(b"COMM") + 16
            field = struct.pack(">HQ", 16_383 + exponent, rate << (63 - exponent))
        case ".mkv":  # the element SamplingFrequency, of 8 bytes
            at = data.index(b"\xb5\x88") + 2
            field = struct.pack(">d", rate)
    path.write_bytes(data[:at] + field + data[at + len(field) :])
