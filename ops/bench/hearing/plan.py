"""What a run measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ops.bench.hearing import noise
from ops.bench.hearing.scenes import Noise
from ops.bench.hearing.voices import Clip

DETECTORS: Final = ("webrtc", "silero", "cascade")
KINDS: Final = ("white", "pink", "hum", "clicks", "babble")
SNRS_DB: Final = (20.0, 10.0, 5.0, 0.0)
CLEAN: Final = "clean"
SENTENCES: Final = 29
"""Each text and each sentence of the bundled recording once; their voices make the babble. All of
them come with earshot: the same on every machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Each detector and preset hears every sentence clean, and in every noise at every SNR."""

    detectors: Sequence[str] = DETECTORS
    presets: Sequence[str] = ("command", "conversation", "dictation")
    noises: Sequence[str] = KINDS
    snrs_db: Sequence[float] = SNRS_DB
    sentences: int = SENTENCES
    word_sentences: int = 209
    """Words are counted over so many: of 29, one word would be half a point."""
    word_draws: int = 1
    """So many times, each with other noise: what a small model mishears in noise is chance."""
    noise_minutes: float = 10.0
    wer_preset: str = "conversation"
    wer_least_snr_db: float = 20.0
    """Words are counted clean and down to this SNR: each condition takes minutes."""
    seed: int = 1


def noises(clips: Sequence[Clip]) -> dict[str, Noise]:
    """All kinds by name; the babble is made of these clips' voices."""
    return {
        "white": noise.white,
        "pink": noise.pink,
        "hum": noise.hum,
        "clicks": noise.clicks,
        "babble": noise.babble([part for clip in clips for part in clip.parts]),
    }
