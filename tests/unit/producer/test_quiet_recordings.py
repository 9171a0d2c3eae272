"""Speech in a quiet recording is cut where it would be in a loud one; a quiet noise stays noise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from common.settings import ListenSettings
from ops.demo.recording_file import AUDIO, RATE
from producer.recording import RecordingCutter, choose_gain_db
from producer.sources.audio_file import AudioFileSource

SECONDS = 9
SPEECH_DBFS = -20.0
"""Of the bundled recording, without its pauses."""


def cut(path: Path, gain_db: float = 0.0) -> tuple[list[tuple[float, float]], float]:
    """Where speech was cut (s), and the level of the loudest half second."""
    with AudioFileSource(path) as source:
        cutter = RecordingCutter(source, ListenSettings(), gain_db)
        spans = [(one.start / RATE, (one.start + len(one.samples)) / RATE) for one in iter(cutter)]
    return spans, cutter.loudest_dbfs


def said(level_dbfs: float) -> NDArray[np.float32]:
    audio, _ = soundfile.read(AUDIO, dtype="float32", frames=SECONDS * RATE)
    hiss = np.random.default_rng(0).normal(0, 10 ** (-80 / 20), len(audio))
    quieter: NDArray[np.float32] = (
        audio * np.float32(10 ** ((level_dbfs - SPEECH_DBFS) / 20)) + hiss
    )
    return quieter


def test_quiet_speech_is_cut_as_loud_speech_is(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, said(SPEECH_DBFS), RATE)
    expected, loudest = cut(path)
    assert len(expected) >= 2
    assert choose_gain_db(loudest) == 0
    for level_dbfs in (-52.0, -60.0):
        soundfile.write(path, said(level_dbfs), RATE)
        _, loudest = cut(path)
        gain_db = choose_gain_db(loudest)
        assert 15 < gain_db <= 40
        heard, _ = cut(path, gain_db)
        assert np.allclose(heard, expected, atol=0.25)


@pytest.mark.parametrize("kind", ["white", "pink", "hum"])
def test_a_quiet_noise_stays_noise(tmp_path: Path, kind: str) -> None:
    count = 8 * RATE
    white = np.random.default_rng(1).normal(0, 1, count)
    spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(np.arange(count // 2 + 1), 1))
    time = np.arange(count) / RATE
    noise = {
        "white": white,
        "pink": np.fft.irfft(spectrum),
        "hum": np.sin(2 * np.pi * 50 * time) + 0.3 * np.sin(2 * np.pi * 150 * time),
    }[kind]
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise / noise.std() * 10 ** (-56 / 20), RATE)
    _, loudest = cut(path)
    assert loudest == pytest.approx(-56, abs=2)
    assert cut(path, choose_gain_db(loudest))[0] == []
