"""The plan of a run: what it measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ops.bench.hearing import noise
from ops.bench.hearing.scenes import Noise
from ops.bench.hearing.voices import Clip

DETECTORS: Final = ("webrtc", "silero", "cascade")
PRESETS: Final = ("command", "conversation", "dictation")
KINDS: Final = ("white", "pink", "hum", "clicks", "babble")
"""The kinds of noise."""

SNRS_DB: Final = (20.0, 10.0, 5.0, 0.0)
CLEAN: Final = "clean"
SENTENCES: Final = 29
"""All sentences that come with earshot, each once: those of the bundled recording and of TEXTS. The
babble is made of their voices, so it is the same on every machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Each detector and preset gets every sentence, clean and in every noise at every SNR."""

    detectors: Sequence[str] = DETECTORS
    presets: Sequence[str] = PRESETS
    noises: Sequence[str] = KINDS
    snrs_db: Sequence[float] = SNRS_DB
    sentences: int = SENTENCES
    word_sentences: int = 209
    """Words are counted over this many sentences. With 29, one word would be half a point."""
    word_draws: int = 1
    """How often, each time in other noise: a small model mishears words in noise by chance."""
    noise_minutes: float = 10.0
    """Noise without speech, all kinds together."""
    wer_preset: str = "conversation"
    wer_least_snr_db: float = 20.0
    """Words are counted in clean speech and down to this SNR, since each SNR takes minutes."""
    seed: int = 1


def noises(clips: Sequence[Clip]) -> dict[str, Noise]:
    """Return all kinds of noise by name, with a babble of the voices of these clips."""
    return {
        "white": noise.white,
        "pink": noise.pink,
        "hum": noise.hum,
        "clicks": noise.clicks,
        "babble": noise.babble([part for clip in clips for part in clip.parts]),
    }
