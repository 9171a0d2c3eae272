"""Decoding gives back exactly what was encoded, or refuses with one sentence; it never trusts."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.audio import CODECS, SAMPLE_RATE, decode, encode
from common.errors import BadAudio
from common.utterance import Codec

MAX = 30 * SAMPLE_RATE
NOISE = np.random.default_rng(1).normal(0, 3_000, 2 * SAMPLE_RATE).astype(np.int16)
FLAC = encode(NOISE, "flac")

audio = st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=2_000).map(
    lambda values: np.array(values, np.int16)
)


def as_file(samples: NDArray[np.int16], rate: int = SAMPLE_RATE, kind: str = "FLAC") -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format=kind)
    return target.getvalue()


def with_header_length(flac: bytes, samples: int) -> bytes:
    """`flac` with another total in its STREAMINFO: the last 36 bits of bytes 18 to 25."""
    field = int.from_bytes(flac[18:26], "big")
    field = field >> 36 << 36 | samples
    return flac[:18] + field.to_bytes(8, "big") + flac[26:]


@pytest.mark.parametrize("codec", CODECS)
@given(samples=audio)
def test_what_was_encoded_comes_back(codec: Codec, samples: NDArray[np.int16]) -> None:
    data = encode(samples, codec)
    back = decode(data, codec, SAMPLE_RATE, len(samples), max_samples=MAX)
    assert back.dtype == np.int16
    assert np.array_equal(back, samples)


def test_what_is_longer_than_a_block_comes_back() -> None:
    long = np.resize(NOISE, 20 * SAMPLE_RATE + 7)
    back = decode(encode(long), "flac", SAMPLE_RATE, len(long), max_samples=MAX)
    assert np.array_equal(back, long)


def test_flac_is_smaller_than_pcm() -> None:
    tone = (8_000 * np.sin(np.arange(SAMPLE_RATE) / 20)).astype(np.int16)
    assert len(encode(tone, "flac")) < len(encode(tone, "pcm_s16le")) / 2


def test_pcm_is_little_endian() -> None:
    assert encode(np.array([1, -2], np.int16), "pcm_s16le") == b"\x01\x00\xfe\xff"


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0, np.int16), np.zeros((10, 2), np.int16), np.zeros(10, np.float32)],
    ids=["empty", "stereo", "float"],
)
def test_only_mono_int16_is_encoded(samples: NDArray[np.int16]) -> None:
    with pytest.raises(BadAudio, match="only mono int16"):
        encode(samples)


@pytest.mark.parametrize(
    ("data", "codec", "rate", "samples", "sentence"),
    [
        (FLAC, "opus", SAMPLE_RATE, len(NOISE), "no codec 'opus'; send flac or pcm_s16le"),
        (FLAC, "flac", 8_000, len(NOISE), "announced at 8000 Hz; resample it to 16000 Hz"),
        (b"", "flac", SAMPLE_RATE, 10, "holds no audio"),
        (b"", "pcm_s16le", SAMPLE_RATE, 0, "holds no audio"),
        (FLAC, "flac", SAMPLE_RATE, 0, "holds no audio"),
        (FLAC, "flac", SAMPLE_RATE, -5, "holds no audio"),
        (FLAC, "flac", SAMPLE_RATE, MAX + 1, "30.0 s long; at most 30.0 s are accepted"),
        (b"\0\0\0", "pcm_s16le", SAMPLE_RATE, 1, "3 bytes are no whole samples"),
        (b"\0\0" * 4, "pcm_s16le", SAMPLE_RATE, 3, "3 samples are announced, .* holds 4"),
        (FLAC, "flac", SAMPLE_RATE, len(NOISE) - 1, "31999 samples .* holds 32000"),
        (FLAC, "flac", SAMPLE_RATE, len(NOISE) + 1, "32001 samples .* holds 32000"),
        (b"no audio at all", "flac", SAMPLE_RATE, 10, "no readable FLAC"),
        (
            as_file(NOISE, kind="WAV"),
            "flac",
            SAMPLE_RATE,
            len(NOISE),
            "no readable FLAC .another",
        ),
        (as_file(NOISE, 8_000), "flac", SAMPLE_RATE, len(NOISE), "its header says 8000 Hz"),
        (as_file(np.stack([NOISE, NOISE], 1)), "flac", SAMPLE_RATE, len(NOISE), "has 2 channels"),
    ],
)
def test_what_is_not_as_announced_is_refused(
    data: bytes, codec: str, rate: int, samples: int, sentence: str
) -> None:
    with pytest.raises(BadAudio, match=sentence):
        decode(data, codec, rate, samples, max_samples=MAX)


@pytest.mark.parametrize("claim", [0, 1, len(NOISE) - 1, len(NOISE) + 1, 2**36 - 1])
def test_a_lying_flac_header_is_refused(claim: int) -> None:
    with pytest.raises(BadAudio):
        decode(with_header_length(FLAC, claim), "flac", SAMPLE_RATE, len(NOISE), max_samples=MAX)


def test_a_header_that_lies_as_the_announcement_does_is_refused() -> None:
    lying = with_header_length(FLAC, len(NOISE) + 1)
    with pytest.raises(BadAudio):
        decode(lying, "flac", SAMPLE_RATE, len(NOISE) + 1, max_samples=MAX)


@given(data=st.data())
def test_damaged_flac_never_decodes_to_something_else(data: st.DataObject) -> None:
    damaged = bytearray(FLAC)
    position = data.draw(st.integers(0, len(FLAC) - 1))
    damaged[position] ^= data.draw(st.integers(1, 255))
    kept = bytes(damaged[: data.draw(st.integers(1, len(FLAC)))])
    try:
        back = decode(kept, "flac", SAMPLE_RATE, len(NOISE), max_samples=MAX)
    except BadAudio:
        return
    assert np.array_equal(back, NOISE)


def test_a_small_message_cannot_claim_much_memory() -> None:
    hours = encode(np.zeros(3_600 * SAMPLE_RATE, np.int16))
    assert len(hours) < 250_000
    tracemalloc.start()
    try:
        for samples in (MAX, 3_600 * SAMPLE_RATE):
            with pytest.raises(BadAudio):
                decode(hours, "flac", SAMPLE_RATE, samples, max_samples=MAX)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX
