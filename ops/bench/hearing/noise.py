"""Noise of the kinds that a room has, by rule and seed; 16 kHz mono float32 at an RMS of 1."""

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
"""So many talk at once that no word can be made out."""


def white(count: int, rng: np.random.Generator) -> Samples:
    """Equal power at all frequencies: a hiss."""
    return _unit(rng.standard_normal(count))


def pink(count: int, rng: np.random.Generator) -> Samples:
    """Power falling by 3 dB an octave from 20 Hz on: wind, a street, a fan."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    return _unit(np.fft.irfft(spectrum / np.sqrt(np.maximum(frequencies, 20.0)), count))


def hum(count: int, rng: np.random.Generator) -> Samples:
    """The mains and its harmonics, slowly swelling: a bad cable, a transformer, a refrigerator."""
    time = np.arange(count) / SAMPLE_RATE
    tones = sum(
        np.sin(2 * np.pi * _MAINS_HZ * n * time + rng.uniform(0, 2 * np.pi)) / n
        for n in range(1, 13)
    )
    return _unit(tones * (1 + 0.3 * np.sin(2 * np.pi * 0.4 * time)))


def clicks(count: int, rng: np.random.Generator) -> Samples:
    """Short bursts at random: a keyboard, a mouse."""
    samples = 0.01 * rng.standard_normal(count)
    length = round(_CLICK_S * SAMPLE_RATE)
    shape = np.exp(-np.arange(length) / (length / 4))
    for _ in range(round(count / SAMPLE_RATE * _CLICKS_A_SECOND)):
        at = int(rng.integers(0, max(count - length, 1)))
        part = samples[at : at + length]
        part += rng.uniform(0.4, 1) * shape[: len(part)] * rng.standard_normal(len(part))
    return _unit(samples)


def babble(voices: Sequence[Samples]) -> Callable[[int, np.random.Generator], Samples]:
    """Many of these voices at once, from everywhere: a canteen."""

    def make(count: int, rng: np.random.Generator) -> Samples:
        samples = np.zeros(count)
        for _ in range(_BABBLE_VOICES):
            talk: list[Samples] = []
            while sum(map(len, talk)) < 2 * count:
                talk += [voices[number] for number in rng.permutation(len(voices))]
            one = np.concatenate(talk)
            start = int(rng.integers(0, len(one) - count))
            samples += rng.uniform(0.5, 1) * one[start : start + count]
        return _unit(samples)

    return make


def _unit(samples: NDArray[np.float64]) -> Samples:
    unit: Samples = (samples / np.sqrt(np.mean(samples**2))).astype(np.float32)
    return unit
