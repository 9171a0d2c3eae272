"""Framing neither loses nor invents a sample, however the blocks fall."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from producer.sources.source import Framer


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 20))
def test_frames_hold_the_blocks_in_order_and_only_the_last_is_padded(
    lengths: list[int], size: int
) -> None:
    stream = np.arange(1, sum(lengths) + 1, dtype=np.int16)
    framer = Framer(size)
    frames = []
    for block in np.split(stream, np.cumsum(lengths))[:-1]:
        frames += list(framer.push(block))
    assert framer.samples == len(frames) * size <= len(stream)
    frames += list(framer.finish())
    assert all(frame.shape == (size,) and frame.dtype == np.int16 for frame in frames)
    audio = np.concatenate(frames) if frames else np.empty(0, np.int16)
    assert np.array_equal(audio[: len(stream)], stream)
    assert not audio[len(stream) :].any()
    assert len(audio) - len(stream) < size
    assert framer.samples == len(stream)
    assert list(framer.finish()) == []
