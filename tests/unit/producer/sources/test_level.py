"""Levels are decibels of full scale, and silence has one too."""

import numpy as np
import pytest

from producer.sources.level import QUIETEST_DBFS, peak_dbfs, rms_dbfs


def test_a_full_square_wave_is_at_full_scale() -> None:
    square = np.tile(np.array([-32_768, -32_768], np.int16), 240)
    assert rms_dbfs(square) == pytest.approx(0)
    assert peak_dbfs(square) == pytest.approx(0)


def test_a_sine_is_three_decibels_below_its_peak() -> None:
    sine = np.rint(3_276.8 * np.sin(np.arange(1_600) * 2 * np.pi / 16)).astype(np.int16)
    assert peak_dbfs(sine) == pytest.approx(-20, abs=0.1)
    assert rms_dbfs(sine) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("samples", [np.zeros(480, np.int16), np.empty(0, np.int16)])
def test_silence_has_a_level(samples: np.ndarray) -> None:
    assert rms_dbfs(samples) == peak_dbfs(samples) == QUIETEST_DBFS
