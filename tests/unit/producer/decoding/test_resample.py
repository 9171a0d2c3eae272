"""Whatever a file holds becomes samples, without a complaint of NumPy's."""

import warnings

import numpy as np
import pytest

from producer.decoding.resample import Resampler


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_what_is_no_number_is_silence_or_as_loud_as_can_be(rate: int) -> None:
    block = np.zeros((4_800, 2), np.float32)
    block[100], block[200], block[300] = np.inf, (-np.inf, np.inf), np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resampler = Resampler(rate)
        audio = np.concatenate((resampler.push(block), resampler.finish()))
    assert len(audio) == 4_800 * 16_000 // rate
    assert audio.max() > 5_000
