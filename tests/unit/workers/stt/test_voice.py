"""There is a voice in speech, also in a single short word, and none in noise."""

from collections.abc import Callable

import numpy as np
import pytest

from common.audio import SAMPLE_RATE
from ops.bench.hearing import noise
from ops.bench.hearing.voices import load_texts
from workers.stt.voice import has_voice

Noise = Callable[[int, np.random.Generator], noise.Samples]


def test_sentences_have_a_voice() -> None:
    for clip in list(load_texts())[:6]:
        assert has_voice(np.concatenate(clip.parts)), clip.text


@pytest.mark.parametrize("kind", [noise.white, noise.pink, noise.hum, noise.clicks])
@pytest.mark.parametrize("level", [0.01, 0.1])
def test_noise_has_none(kind: Noise, level: float) -> None:
    assert not has_voice(level * kind(2 * SAMPLE_RATE, np.random.default_rng(5)))


def test_silence_and_next_to_nothing_have_none() -> None:
    assert not has_voice(np.zeros(SAMPLE_RATE, np.float32))
    assert not has_voice(np.zeros(10, np.float32))
