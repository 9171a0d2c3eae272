"""Make a clean clip sound like an utterance that was recorded in a room.

Every function takes and returns 16 kHz mono float32 samples. A numpy Generator makes the random
choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .voices import RATE, Samples

LONGEST_LEAD_S: Final = 1.2
LONGEST_TAIL_S: Final = 1.3
"""The most silence before and after an utterance, at a hardness of 1. All shorter lengths are as
likely, so that the model understands what a detector cuts early or late."""

LONGEST_PAUSE_S: Final = 1.0
"""The longest pause that the preset `conversation` allows inside an utterance."""

SNR_DB: Final = (6.0, 40.0)
QUIETEST_PEAK: Final = 0.01
"""Peak of the quietest clips, of full scale (-40 dBFS)."""

NOISE_S: Final = 12
"""Length of each noise of the bank (s)."""


@dataclass(frozen=True)
class Utterance:
    """An augmented clip, and where speech begins and ends in it (s)."""

    samples: Samples
    start_s: float
    end_s: float


def make_noise_bank(rng: np.random.Generator, each: int = 6) -> list[Samples]:
    """Make white, pink, brown, fan, hum and tapping noises, each with an RMS of 1."""
    bank: list[Samples] = []
    for _ in range(each):
        bank += [make_coloured_noise(rng, slope) for slope in (0.0, 0.5, 1.0, rng.uniform(0, 1.0))]
        bank += [make_hum(rng), make_fan(rng), make_taps(rng), make_taps(rng)]
    return bank


def make_coloured_noise(rng: np.random.Generator, slope: float) -> Samples:
    """Make noise whose amplitude falls as frequency ** -slope: 0 white, 0.5 pink, 1 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(NOISE_S * RATE))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20 * NOISE_S) ** -slope
    return _unit(np.fft.irfft(spectrum))


def make_hum(rng: np.random.Generator) -> Samples:
    """Make the hum of the mains: 50 or 60 Hz with some harmonics and a little hiss."""
    t = np.arange(NOISE_S * RATE) / RATE
    base = rng.choice([50.0, 60.0])
    tones = sum(
        rng.uniform(0.1, 1) / k * np.sin(2 * np.pi * base * k * t + rng.uniform(0, 6.3))
        for k in (1, 2, 3, 4, 5, 7)
    )
    return _unit(tones + 0.05 * rng.standard_normal(len(t)))


def make_fan(rng: np.random.Generator) -> Samples:
    """Make the noise of a fan, which gets louder and softer as the blades pass."""
    t = np.arange(NOISE_S * RATE) / RATE
    swell = 1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.5, 12) * t)
    return _unit(make_coloured_noise(rng, rng.uniform(0.5, 0.9)) * swell)


def make_taps(rng: np.random.Generator) -> Samples:
    """Make short bursts of noise, one to eight a second: a keyboard, dishes, steps."""
    samples = 0.01 * rng.standard_normal(NOISE_S * RATE)
    for _ in range(int(NOISE_S * rng.uniform(1, 8))):
        length = int(RATE * np.exp(rng.uniform(np.log(0.002), np.log(0.05))))
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / (length / 4))
        at = int(rng.integers(0, len(samples) - length))
        samples[at : at + length] += rng.uniform(0.3, 1) * burst
    return _unit(samples)


def babble(clips: list[Samples], rng: np.random.Generator) -> Samples:
    """Let several people say these clips at the same time: a canteen."""
    count = NOISE_S * RATE
    samples = np.zeros(count)
    for _ in range(rng.integers(4, 13)):
        talk = np.concatenate([clips[i] for i in rng.permutation(len(clips))])
        samples += rng.uniform(0.5, 1) * np.roll(np.resize(talk, count), rng.integers(count))
    return _unit(samples)


def utterance(
    clip: Samples, bank: list[Samples], rng: np.random.Generator, hardness: float = 1.0
) -> Utterance:
    """Change a clip in all ways: voice, pauses, room, silence, noise, level, 16 bit.

    `hardness`, from 0 to 1, says how often clips are changed, and how long the silence around them
    is. At 0 almost only the level and the voice change.
    """
    if rng.random() < 0.7:
        clip = resample(clip, float(np.exp(rng.uniform(-0.2, 0.2))))
    if rng.random() < 0.35 * hardness:
        clip = insert_pause(clip, rng)
    if rng.random() < hardness:
        clip = colour_by_room(clip, rng)
    reach = max(0.2, hardness)
    lead = int(RATE * LONGEST_LEAD_S * reach * rng.random())
    tail = int(RATE * LONGEST_TAIL_S * reach * rng.random())
    samples = np.zeros(lead + len(clip) + tail, dtype=np.float32)
    samples[lead : lead + len(clip)] = clip
    if rng.random() < 0.75 * hardness:
        snr = rng.uniform(*SNR_DB)
        level = np.sqrt(np.mean(clip**2)) * 10 ** (-snr / 20)
        samples += level * take_slice(bank, len(samples), rng)
    end_s = (lead + len(clip)) / RATE
    return Utterance(set_level(samples, rng), lead / RATE, end_s)


def make_sound_without_speech(bank: list[Samples], rng: np.random.Generator) -> Samples:
    """Make 0.3 to 4 s of silence, noise, clicks or bursts."""
    length = int(RATE * rng.uniform(0.3, 4.0))
    samples = np.zeros(length, dtype=np.float32)
    if rng.random() < 0.85:
        samples += take_slice(bank, length, rng) * 10 ** rng.uniform(-4.5, -0.8)
    if rng.random() < 0.5:
        for _ in range(rng.integers(1, 4)):
            noise = take_slice(bank, int(RATE * rng.uniform(0.002, 0.3)), rng)
            burst = noise * np.hanning(len(noise)) * 10 ** rng.uniform(-2, -0.5)
            at = int(rng.integers(0, max(1, length - len(burst))))
            samples[at : at + len(burst)] += burst[: length - at]
    return quantise(samples)


def resample(clip: Samples, ratio: float) -> Samples:
    """Play a clip `ratio` times as fast. It then sounds like another voice."""
    places = np.arange(0, len(clip) - 1, ratio)
    return np.asarray(np.interp(places, np.arange(len(clip)), clip), dtype=np.float32)


def insert_pause(clip: Samples, rng: np.random.Generator) -> Samples:
    """Put a pause into a quiet place of the clip, if it has one."""
    frame = RATE // 50
    count = len(clip) // frame
    energy = (clip[: count * frame].reshape(count, frame) ** 2).mean(axis=1)
    quiet = np.flatnonzero(energy[3:-3] < 0.003 * energy.mean()) + 3
    if not len(quiet):
        return clip
    at = int(rng.choice(quiet)) * frame + frame // 2
    pause = np.zeros(int(RATE * rng.uniform(0.05, LONGEST_PAUSE_S)), dtype=np.float32)
    return np.concatenate([clip[:at], pause, clip[at:]])


def colour_by_room(clip: Samples, rng: np.random.Generator) -> Samples:
    """Apply a random smooth equaliser, sometimes a band limit, and sometimes reverberation.

    The reverberation is noise after the direct sound, which decays exponentially (60 dB in 0.1 to
    0.4 s).
    """
    size = 1 << (len(clip) + RATE // 3).bit_length()
    spectrum = np.fft.rfft(clip, size)
    hz = np.linspace(0, RATE / 2, len(spectrum))
    if rng.random() < 0.6:
        knots = np.array([0, 150, 400, 900, 1800, 3000, 5000, 8000])
        spectrum *= 10 ** (np.interp(hz, knots, rng.normal(0, 3.0, len(knots))) / 20)
    if rng.random() < 0.12:
        spectrum[hz > rng.uniform(3400, 7500)] *= 0.01
    length = len(clip)
    if rng.random() < 0.3:
        decay = rng.uniform(0.1, 0.4)
        t = np.arange(int(RATE * min(0.33, decay))) / RATE
        response = rng.standard_normal(len(t)) * np.exp(-6.9 * t / decay)
        response *= rng.uniform(0.05, 0.4) / np.sqrt((response**2).sum())
        response[0] = 1.0
        spectrum *= np.fft.rfft(response, size)
        length += len(t) // 2
    return np.fft.irfft(spectrum)[:length].astype(np.float32)


def set_level(samples: Samples, rng: np.random.Generator) -> Samples:
    """Set a random level, from -40 dBFS to slightly clipped, and round to 16 bit."""
    peak = QUIETEST_PEAK ** (rng.random() ** 1.5)
    if rng.random() < 0.08:
        peak = rng.uniform(1.0, 1.5)
    return quantise(samples * (peak / max(1e-6, float(np.abs(samples).max()))))


def quantise(samples: npt.NDArray[np.floating]) -> Samples:
    return np.asarray(np.round(np.clip(samples, -1, 1) * 32767) / 32768, dtype=np.float32)


def take_slice(bank: list[Samples], length: int, rng: np.random.Generator) -> Samples:
    """Take `length` samples of a random noise. A noise that is too short is repeated."""
    noise = bank[rng.integers(len(bank))]
    start = int(rng.integers(max(1, len(noise) - length)))
    return np.resize(noise[start : start + length], length)


def _unit(samples: npt.NDArray[np.floating]) -> Samples:
    return np.asarray(samples / np.sqrt(np.mean(samples**2)), dtype=np.float32)
