"""Scenes: sound of which it is known when which sentence is said, with pauses and noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE, to_int16
from ops.bench.hearing.voices import Clip, Samples

Noise = Callable[[int, np.random.Generator], Samples]

PAUSES_S: Final = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""Pauses inside sentences, in which a speaker thinks."""

GAPS_S: Final = (2.4, 3.2)
"""The least and the most time between two turns: more than any preset waits."""

LEAD_S: Final = 3.5
"""Time before the first sentence, in which detectors learn the level of the noise."""

ROOM_RMS: Final = 0.0002
"""Level of a quiet room, of full scale: -74 dBFS."""

NOISE_LEVELS_DBFS: Final = (-60.0, -50.0, -40.0, -30.0)
"""Levels of noise without speech, from a quiet fan to a machine beside the microphone."""

LEVEL_S: Final = 10.0
"""How long noise without speech keeps one level."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One sentence. Positions are in samples."""

    start: int
    end: int
    text: str
    pause_s: float = 0.0
    """Length of the pause inside it; 0 if there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """16 kHz mono int16, and the sentences in it."""

    samples: NDArray[np.int16]
    turns: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """Speech without noise, 16 kHz mono float32, and the sentences in it."""

    samples: Samples
    turns: tuple[Turn, ...]


def make_talk(clips: Sequence[Clip], rng: np.random.Generator) -> Talk:
    """Put the clips one after the other. Between the parts of a clip comes one of PAUSES_S."""
    pieces = [_silence(LEAD_S)]
    turns = []
    at = len(pieces[0])
    pauses = 0
    for clip in clips:
        pause_s = PAUSES_S[pauses % len(PAUSES_S)] if len(clip.parts) > 1 else 0.0
        pauses += len(clip.parts) > 1
        spoken = clip.parts[0]
        for part in clip.parts[1:]:
            spoken = np.concatenate((spoken, _silence(pause_s), part))
        turns.append(Turn(at, at + len(spoken), clip.text, pause_s))
        pieces += [spoken, _silence(rng.uniform(*GAPS_S))]
        at += len(spoken) + len(pieces[-1])
    return Talk(np.concatenate(pieces), tuple(turns))


def mix(talk: Talk, noise: Noise | None, snr_db: float | None, rng: np.random.Generator) -> Scene:
    """Put the talk into a quiet room, and into noise if there is any.

    The SNR is the mean power of the speech, without pauses, over that of the noise.
    """
    count = len(talk.samples)
    background: Samples = np.float32(ROOM_RMS) * rng.standard_normal(count).astype(np.float32)
    if noise is not None and snr_db is not None:
        speech = np.concatenate([talk.samples[turn.start : turn.end] for turn in talk.turns])
        power = float(np.mean(speech[speech != 0] ** 2))
        background += noise(count, rng) * np.float32(np.sqrt(power / 10 ** (snr_db / 10)))
    return Scene(to_int16(talk.samples + background), talk.turns)


def make_noise(noise: Noise, seconds: float, rng: np.random.Generator) -> Scene:
    """Make noise without speech, with another level every LEVEL_S."""
    samples = noise(round(seconds * SAMPLE_RATE), rng)
    step = round(LEVEL_S * SAMPLE_RATE)
    for number, start in enumerate(range(0, len(samples), step)):
        level = NOISE_LEVELS_DBFS[number % len(NOISE_LEVELS_DBFS)]
        samples[start : start + step] *= np.float32(10 ** (level / 20))
    return Scene(to_int16(samples), ())


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
