"""Sound of which is known who says what when: spoken sentences, pauses, and noise under them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE, to_int16
from ops.bench.hearing.voices import Clip, Samples

Noise = Callable[[int, np.random.Generator], Samples]

PAUSES_S: Final = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""Pauses inside sentences: a speaker thinks."""
GAPS_S: Final = (2.4, 3.2)
"""Between two turns, least and most: longer than the most patient preset waits."""
LEAD_S: Final = 3.5
"""Room before the first sentence: detectors that follow the noise have learned it by then."""
ROOM_RMS: Final = 0.0002
"""Level of a quiet room, of full scale: -74 dBFS."""
NOISE_LEVELS_DBFS: Final = (-60.0, -50.0, -40.0, -30.0)
"""Levels between which noise alone changes, from a quiet fan to a machine beside the microphone."""
LEVEL_S: Final = 10.0
"""How long noise alone keeps a level."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One sentence; positions in samples."""

    start: int
    end: int
    text: str
    pause_s: float = 0.0
    """Length of the pause inside it; 0: none."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """16 kHz mono int16 and all that is said in it."""

    samples: NDArray[np.int16]
    turns: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """Speech alone, before any noise: float32 and all that is said in it."""

    samples: Samples
    turns: tuple[Turn, ...]


def talk(clips: Sequence[Clip], rng: np.random.Generator) -> Talk:
    """The clips one after the other; those in parts get a pause of PAUSES_S, in turn."""
    pieces = [_silence(LEAD_S)]
    turns = []
    at = len(pieces[0])
    paused = 0
    for clip in clips:
        pause_s = PAUSES_S[paused % len(PAUSES_S)] if len(clip.parts) > 1 else 0.0
        paused += len(clip.parts) > 1
        spoken = clip.parts[0]
        for part in clip.parts[1:]:
            spoken = np.concatenate((spoken, _silence(pause_s), part))
        turns.append(Turn(at, at + len(spoken), clip.text, pause_s))
        pieces += [spoken, _silence(rng.uniform(*GAPS_S))]
        at += len(spoken) + len(pieces[-1])
    return Talk(np.concatenate(pieces), tuple(turns))


def mixed(talk: Talk, noise: Noise | None, snr_db: float | None, rng: np.random.Generator) -> Scene:
    """The talk in a quiet room, or in noise: the SNR is the speech's mean power, pauses left out,
    over the noise's."""
    count = len(talk.samples)
    under: Samples = np.float32(ROOM_RMS) * rng.standard_normal(count).astype(np.float32)
    if noise is not None and snr_db is not None:
        speech = np.concatenate([talk.samples[turn.start : turn.end] for turn in talk.turns])
        power = float(np.mean(speech[speech != 0] ** 2))
        under += noise(count, rng) * np.float32(np.sqrt(power / 10 ** (snr_db / 10)))
    return Scene(to_int16(talk.samples + under), talk.turns)


def alone(noise: Noise, seconds: float, rng: np.random.Generator) -> Scene:
    """Noise that changes its level every LEVEL_S, and nobody in it."""
    samples = noise(round(seconds * SAMPLE_RATE), rng)
    step = round(LEVEL_S * SAMPLE_RATE)
    for number, start in enumerate(range(0, len(samples), step)):
        level = NOISE_LEVELS_DBFS[number % len(NOISE_LEVELS_DBFS)]
        samples[start : start + step] *= np.float32(10 ** (level / 20))
    return Scene(to_int16(samples), ())


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
