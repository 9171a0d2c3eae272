"""Whoever speaks in any channel of a recording is heard as in a mono recording: in opposite phase,
beside silent channels or noise, and in whichever pieces the samples come."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from producer.decoding.channel_mix import ChannelMixer
from producer.sources.audio_file import AudioFileSource
from tests.support.speechlike import RATE, speechlike

Samples = NDArray[np.float32]

SAID = np.concatenate(
    [np.zeros(RATE), speechlike(1.5) / 32_768, np.zeros(RATE), speechlike(1.5, seed=3) / 32_768]
).astype(np.float32)
NONE = np.zeros_like(SAID)


def noise(level_db: float, seed: int = 0) -> Samples:
    """White noise at a level, dB of full scale."""
    normal = np.random.default_rng(seed).normal(0, 10 ** (level_db / 20), len(SAID))
    return normal.astype(np.float32)


def hum(level_db: float) -> Samples:
    wave = np.sqrt(2) * np.sin(2 * np.pi * 50 * np.arange(len(SAID)) / RATE)
    scaled: Samples = (wave * 10 ** (level_db / 20)).astype(np.float32)
    return scaled


def mix(channels: Sequence[Samples], size: int = RATE) -> Samples:
    block = np.stack(channels, axis=1)
    mixer = ChannelMixer(RATE, len(channels))
    pieces = [mixer.push(block[start : start + size]) for start in range(0, len(block), size)]
    return np.concatenate([*pieces, mixer.finish()])


@pytest.mark.parametrize(
    "channels",
    [
        [SAID, SAID],
        [SAID, -SAID],
        [-SAID, SAID, SAID],
        [NONE, SAID],
        [SAID, noise(-90)],
        [NONE, NONE, NONE, SAID, NONE, NONE],
        [NONE] * 15 + [SAID],
        [SAID, noise(-15)],
        [noise(-20), noise(-20, 1), noise(-20, 2), -SAID],
        [hum(-6), SAID],
        [SAID + noise(-60), -SAID + noise(-60, 1)],
    ],
    ids=str,
)
def test_one_voice_is_as_loud_and_as_clear_as_in_mono(channels: list[Samples]) -> None:
    mixed = mix(channels)
    assert len(mixed) == len(SAID)
    if mixed @ SAID < 0:
        mixed = -mixed
    said = np.abs(SAID) > 0
    error = mixed[said] - SAID[said]
    signal_to_noise_db = 10 * np.log10(np.mean(SAID[said] ** 2) / max(np.mean(error**2), 1e-12))
    assert signal_to_noise_db > 20


def test_two_people_on_two_channels_are_both_heard() -> None:
    half = len(SAID) // 2
    first, second = SAID.copy(), SAID.copy()
    first[half:], second[:half] = 0, 0
    mixed = mix([first, second])
    for part in (slice(0, half), slice(half, None)):
        level = np.sqrt(np.mean(mixed[part] ** 2) / np.mean(SAID[part] ** 2))
        assert 0.45 < level < 1.05


def test_a_channel_in_which_somebody_begins_late_is_heard_from_the_first_word() -> None:
    before = noise(-60)
    mixed = mix([np.concatenate([SAID, before]), np.concatenate([before, SAID])])
    late = mixed[len(SAID) :]
    begin = slice(RATE, RATE + RATE // 10)
    level = np.sqrt(np.mean(late[begin] ** 2) / np.mean(SAID[begin] ** 2))
    assert level > 0.4


@pytest.mark.parametrize("size", [7, 1_000, 1_600, 50_000, len(SAID)])
def test_it_is_the_same_in_any_pieces(size: int) -> None:
    channels = [SAID, -SAID + noise(-50), noise(-30)]
    assert np.allclose(mix(channels, size), mix(channels), atol=1e-6)


def test_where_nothing_stands_out_it_is_the_average() -> None:
    tone = hum(-10)
    assert np.allclose(mix([tone, tone, np.zeros_like(tone)]), tone * 2 / 3, atol=1e-3)


def test_many_channels_at_a_high_rate_take_little_memory() -> None:
    mixer = ChannelMixer(192_000, 64)
    block = np.zeros((192_000, 64), np.float32)
    assert len(mixer.push(block)) + len(mixer.finish()) == len(block)


def read(path: Path, channel: int) -> NDArray[np.int16]:
    with AudioFileSource(path, channel=channel) as source:
        assert source.channels == (2 if channel else 1)
        return np.concatenate(list(source))


def test_one_channel_can_be_heard_alone(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    first, second = np.full(RATE, 0.25), np.full(RATE, -0.5)
    soundfile.write(path, np.stack([first, second], axis=1), RATE)
    heard = [int(read(path, channel)[RATE // 2]) for channel in (1, 2)]
    assert heard == [8_192, -16_384]
