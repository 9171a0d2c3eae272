"""No rule against noise and invented text takes a real "thank you", "yes", "no" or "stop"."""

import shutil

import numpy as np
import pytest

from ops.bench.hearing.voices import set_level, speak, trim
from tests.real.recordings import DETECTORS, Samples, cut, hear, join
from workers.stt.whisper import Whisper

WORDS = ("Thank you.", "Yes.", "No.", "Stop.")
VOICES = (
    ("flite", "slt"),
    ("flite", "rms"),
    ("flite", "awb"),
    ("espeak-ng", "en-us+f4"),
    ("espeak-ng", "en-us+Andy"),
)


@pytest.mark.parametrize("detector", DETECTORS)
def test_twenty_short_words_are_kept(whisper: Whisper, figures: list[str], detector: str) -> None:
    missing = [engine for engine in {engine for engine, _ in VOICES} if not shutil.which(engine)]
    if missing:
        pytest.skip(f"no synthetic voices: install {' and '.join(sorted(missing))}")
    heard = {
        (word, *voice): join(hear(whisper, cut(say(word, *voice), detector)))
        for word in WORDS
        for voice in VOICES
    }
    lost = [said for said, text in heard.items() if not text]
    others = {said: text for said, text in heard.items() if text and not same(said[0], text)}
    figures.append(
        f"short words, {detector}: {len(heard) - len(lost)} of {len(heard)} kept, {len(others)} of"
        f" them misheard {list(others.values())}; lost {lost}"
    )
    assert lost == []


def say(word: str, engine: str, voice: str) -> Samples:
    (spoken,) = set_level([trim(speak(word, engine, voice))])
    return (32_767 * np.clip(spoken, -1, 1)).astype(np.int16)


def same(said: str, text: str) -> bool:
    return text.strip(" .,!?").lower() == said.strip(".").lower()
