"""Noise has no text, whatever the detector lets through."""

import numpy as np
import pytest

from common.audio import SAMPLE_RATE
from ops.bench.hearing import noise
from tests.real.recordings import DETECTORS, Recording, Samples, cut, hear
from workers.stt.whisper import Whisper

detectors = pytest.mark.parametrize("detector", DETECTORS)
LEVELS_DB = (-20, -30)


@detectors
def test_noise_of_the_recordings_has_no_text(
    whisper: Whisper, recordings: list[Recording], figures: list[str], detector: str
) -> None:
    noises = [one.samples for one in recordings if one.text == ""]
    if not noises:
        pytest.skip("no recordings of noise: NAME.txt is empty, or manifest.jsonl says noise_only")
    show_and_check(whisper, noises, detector, "recorded noise", figures)


@detectors
def test_synthetic_noise_has_no_text(whisper: Whisper, figures: list[str], detector: str) -> None:
    show_and_check(whisper, synthetic(), detector, "synthetic noise", figures)


def show_and_check(
    whisper: Whisper, noises: list[Samples], detector: str, what: str, figures: list[str]
) -> None:
    heard = [one for samples in noises for one in hear(whisper, cut(samples, detector))]
    texts = [one.text for one in heard if one.text]
    invented = [one.invented for one in heard if one.invented]
    figures.append(
        f"{what}, {detector}: {len(heard)} utterances of {len(noises)} sounds, {len(texts)} with"
        f" text {texts}, {len(invented)} invented {sorted(set(invented))}"
    )
    assert texts == []


def synthetic() -> list[Samples]:
    rng = np.random.default_rng(11)
    made = []
    for kind in (noise.white, noise.pink, noise.hum, noise.clicks):
        for level_db, length_s in zip(LEVELS_DB, (1.5, 4.0), strict=True):
            unit = kind(round(length_s * SAMPLE_RATE), rng)
            loud = np.clip(unit * 10 ** (level_db / 20), -1, 1)
            made.append((32_767 * loud).astype(np.int16))
    return made
