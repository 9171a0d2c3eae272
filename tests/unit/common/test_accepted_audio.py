"""One rule says which audio is accepted. What it refuses could never be decoded, and it refuses
nothing that could.
"""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from common.audio import CODECS, FLAC_HEAD_BYTES, SAMPLE_RATE, check_audio, decode, encode
from common.errors import BadAudio

MAX = 2 * SAMPLE_RATE
SAMPLES = np.arange(1_000, dtype=np.int16)
FLAC = encode(SAMPLES)


def flac(rate: int = SAMPLE_RATE, subtype: str = "PCM_16", channels: int = 1) -> bytes:
    target = io.BytesIO()
    samples = np.repeat(SAMPLES[:, None], channels, axis=1)
    soundfile.write(target, samples, rate, format="FLAC", subtype=subtype)
    return target.getvalue()


def with_head(rate: int, channels: int, bits: int, length: int) -> bytes:
    """The FLAC with another STREAMINFO (RFC 9639, section 8.2)."""
    field = rate << 44 | channels - 1 << 41 | bits - 1 << 36 | length
    return FLAC[:18] + field.to_bytes(8, "big") + FLAC[26:]


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_every_width_that_can_be_read_is_accepted(subtype: str) -> None:
    data = flac(subtype=subtype)
    check_audio(data, "flac", SAMPLE_RATE, len(SAMPLES), max_samples=MAX)
    assert len(decode(data, "flac", SAMPLE_RATE, len(SAMPLES), max_samples=MAX)) == len(SAMPLES)


@pytest.mark.parametrize("rate", [0, 1, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, -16_000])
@pytest.mark.parametrize("codec", CODECS)
def test_no_other_rate_is_accepted(codec: str, rate: int) -> None:
    data = FLAC if codec == "flac" else SAMPLES.tobytes()
    with pytest.raises(BadAudio, match=f"announced at {rate} Hz"):
        check_audio(data, codec, rate, len(SAMPLES), max_samples=MAX)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (flac(8_000), "header says 8000 Hz"),
        (flac(48_000), "header says 48000 Hz"),
        (flac(channels=2), "has 2 channels"),
        (flac(channels=8), "has 8 channels"),
        (with_head(SAMPLE_RATE, 1, 12, len(SAMPLES)), "12 bits"),
        (with_head(SAMPLE_RATE, 1, 32, len(SAMPLES)), "32 bits"),
        (with_head(SAMPLE_RATE, 1, 16, 0), "leaves open"),
        (with_head(SAMPLE_RATE, 1, 16, 999), "holds 999"),
        (with_head(SAMPLE_RATE, 1, 16, 2**36 - 1), "holds 68719476735"),
        (FLAC[: FLAC_HEAD_BYTES - 1], "no readable FLAC"),
        (b"fLaC", "no readable FLAC"),
        (b"fLaC\x04" + FLAC[5:], "no readable FLAC"),
        (b"OggS" + FLAC, "no readable FLAC"),
        (b"RIFF" + FLAC[4:], "no readable FLAC"),
        (SAMPLES.tobytes(), "no readable FLAC"),
    ],
)
def test_a_head_that_is_not_as_announced_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(BadAudio, match=sentence):
        check_audio(data, "flac", SAMPLE_RATE, len(SAMPLES), max_samples=MAX)
    with pytest.raises(BadAudio, match=sentence):
        decode(data, "flac", SAMPLE_RATE, len(SAMPLES), max_samples=MAX)


def test_the_last_block_may_be_the_first() -> None:
    alone = FLAC[:4] + bytes([FLAC[4] | 0x80]) + FLAC[5:FLAC_HEAD_BYTES]
    check_audio(alone, "flac", SAMPLE_RATE, len(SAMPLES), max_samples=MAX)


@given(
    position=st.integers(0, FLAC_HEAD_BYTES - 1),
    change=st.integers(1, 255),
    codec=st.sampled_from([*CODECS, "opus", ""]),
    samples=st.sampled_from([0, 999, len(SAMPLES), MAX + 1]),
    rate=st.sampled_from([8_000, SAMPLE_RATE]),
)
def test_nothing_that_decodes_is_refused(
    position: int, change: int, codec: str, samples: int, rate: int
) -> None:
    """By decoding without the rule: libsndfile alone."""
    damaged = bytearray(FLAC)
    damaged[position] ^= change
    try:
        check_audio(bytes(damaged), codec, rate, samples, max_samples=MAX)
    except BadAudio:
        if (codec, samples, rate) != ("flac", len(SAMPLES), SAMPLE_RATE):
            return
        try:
            with soundfile.SoundFile(io.BytesIO(bytes(damaged))) as file:
                same = (file.samplerate, file.channels, file.frames) == (SAMPLE_RATE, 1, samples)
                readable = same and len(file.read(dtype="int16")) == samples
        except soundfile.LibsndfileError:
            readable = False
        assert not readable
