"""Noise as rooms have it, made by rule and seed: 16 kHz mono float32 with an RMS of 1."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE

Samples = NDArray[np.float32]

_MAINS_HZ: Final = 50.0
_CLICKS_A_SECOND: Final = 4.0
_CLICK_S: Final = 0.012
_BABBLE_VOICES: Final = 12
"""With this many voices at once no word can be understood."""


def white(count: int, rng: np.random.Generator) -> Samples:
    """Make noise with equal power at all frequencies: a hiss."""
    return _unit(rng.standard_normal(count))


def pink(count: int, rng: np.random.Generator) -> Samples:
    """Make noise whose power falls by 3 dB per octave above 20 Hz: wind, a street, a fan."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    return _unit(np.fft.irfft(spectrum / np.sqrt(np.maximum(frequencies, 20.0)), count))


def hum(count: int, rng: np.random.Generator) -> Samples:
    """Make the hum of the mains, slowly louder and softer: a bad cable, a refrigerator."""
    time = np.arange(count) / SAMPLE_RATE
    tones = sum(
        np.sin(2 * np.pi * _MAINS_HZ * n * time + rng.uniform(0, 2 * np.pi)) / n
        for n in range(1, 13)
    )
    return _unit(tones * (1 + 0.3 * np.sin(2 * np.pi * 0.4 * time)))


def clicks(count: int, rng: np.random.Generator) -> Samples:
    """Make short bursts at random times: a keyboard, a mouse."""
    samples = 0.01 * rng.standard_normal(count)
    length = round(_CLICK_S * SAMPLE_RATE)
    shape = np.exp(-np.arange(length) / (length / 4))
    for _ in range(round(count / SAMPLE_RATE * _CLICKS_A_SECOND)):
        at = int(rng.integers(0, max(count - length, 1)))
        part = samples[at : at + length]
        part += rng.uniform(0.4, 1) * shape[: len(part)] * rng.standard_normal(len(part))
    return _unit(samples)


def babble(voices: Sequence[Samples]) -> Callable[[int, np.random.Generator], Samples]:
    """Return what makes noise of many of these voices at once: a canteen."""

    def make(count: int, rng: np.random.Generator) -> Samples:
        samples = np.zeros(count)
        for _ in range(_BABBLE_VOICES):
            sentences: list[Samples] = []
            while sum(map(len, sentences)) < 2 * count:
                sentences += [voices[number] for number in rng.permutation(len(voices))]
            speaker = np.concatenate(sentences)
            start = int(rng.integers(0, len(speaker) - count))
            samples += rng.uniform(0.5, 1) * speaker[start : start + count]
        return _unit(samples)

    return make


def _unit(samples: NDArray[np.float64]) -> Samples:
    unit: Samples = (samples / np.sqrt(np.mean(samples**2))).astype(np.float32)
    return unit
