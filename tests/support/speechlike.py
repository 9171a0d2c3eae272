"""Sound that a speech detector takes for speech, made by rule: no voice, no recording, no download.

A glottal pulse train with a wandering pitch through three vowel formants, swelling and fading at
the rate of syllables.
"""

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
_PITCH_HZ = 120
_SYLLABLES_HZ = 4.0
_FORMANTS_HZ = ((730, 90), (1090, 110), (2440, 120))  # centre and width of the vowel in "father"


def speechlike(seconds: float, level: float = 0.4, seed: int = 0) -> NDArray[np.int16]:
    """16 kHz mono; `level` is the peak as a share of full scale."""
    count = round(seconds * RATE)
    time = np.arange(count) / RATE
    wander = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    phase = 2 * np.pi * np.cumsum(_PITCH_HZ * (1 + 0.1 * np.sin(3 * time + wander))) / RATE
    voice: NDArray[np.float64] = np.zeros(count)
    for harmonic in range(1, 30):
        gain = sum(
            1 / (1 + ((harmonic * _PITCH_HZ - centre) / width) ** 2)
            for centre, width in _FORMANTS_HZ
        )
        voice += gain * np.sin(harmonic * phase)
    syllables = 0.6 + 0.4 * np.cos(2 * np.pi * _SYLLABLES_HZ * time)
    voice *= syllables * level * 32_767 / np.abs(voice).max()
    return np.rint(voice).astype(np.int16)


def room_noise(seconds: float, level: float = 0.0003, seed: int = 1) -> NDArray[np.int16]:
    """The hiss of a quiet room, 16 kHz mono; `level` is its standard deviation."""
    noise = np.random.default_rng(seed).normal(0, level * 32_767, round(seconds * RATE))
    return noise.astype(np.int16)
