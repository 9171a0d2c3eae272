"""What the microphone recorded before a mute is heard, though it is delivered or read after it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from producer.microphone.capture import Block, Capture, Format
from producer.microphone.microphone import Microphone
from producer.sources.mute import MutableSource, Mute

FORMAT = Format(16_000, 1)
BLOCK = 480


class Recorder:
    """Delivers blocks of 30 ms to a microphone, as the sound system does."""

    def __init__(self, latency_s: float = 0.0, *, is_on: bool = False) -> None:
        self.now = 100.0
        self.mute = Mute(is_on, clock=lambda: self.now)
        self.microphone = Microphone(mute=self.mute)
        self.microphone._capture = self._capture = Capture(None, self.mute, clock=lambda: self.now)
        self._capture._latency_s = latency_s

    def record(self, value: int, count: int = 1) -> None:
        for _ in range(count):
            self.now += 0.03
            block = np.full(BLOCK, value, np.int16)
            self._capture._receive(Block(block.tobytes(), FORMAT), False)

    def press_in(self, seconds: float) -> None:
        """Press the key when a part of the next block is recorded."""
        self.mute.toggle(self.now + seconds)

    def heard(self) -> tuple[NDArray[np.int16], list[bool]]:
        """What an ear that was busy all the time hears, and which frames ended muted."""
        self._capture.stop()
        source = MutableSource(self.microphone, self.mute)
        frames, muted = [], []
        for frame in source:
            frames.append(frame)
            muted.append(source.is_muted)
        return np.concatenate(frames), muted


def check_runs(samples: NDArray[np.int16], *lengths: int) -> None:
    """Check how long sound, silence, sound... are; the resampler rounds their edges off."""
    is_loud = np.abs(samples.astype(np.int32)) > 500
    edges = np.flatnonzero(np.diff(is_loud)) + 1
    runs = np.split(is_loud, edges)
    assert [bool(run[0]) for run in runs] == [number % 2 == 0 for number in range(len(lengths))]
    assert [len(run) for run in runs] == [pytest.approx(length, abs=40) for length in lengths]


def test_an_ear_that_lags_hears_what_was_said_before_the_mute() -> None:
    recorder = Recorder()
    recorder.record(1_000, 20)
    recorder.mute.toggle()
    recorder.record(2_000, 10)
    recorder.mute.toggle()
    recorder.record(3_000, 5)
    samples, muted = recorder.heard()
    check_runs(samples, 20 * BLOCK, 10 * BLOCK, 5 * BLOCK)
    assert muted == [False] * 20 + [True] * 10 + [False] * 5


def test_a_mute_that_stays_on_takes_nothing_of_what_was_said_before() -> None:
    recorder = Recorder()
    recorder.record(1_000, 20)
    recorder.mute.toggle()
    recorder.record(2_000, 10)
    samples, muted = recorder.heard()
    check_runs(samples, 20 * BLOCK, 10 * BLOCK)
    assert muted == [False] * 20 + [True] * 10


def test_it_takes_effect_in_the_middle_of_a_block() -> None:
    recorder = Recorder()
    recorder.record(1_000, 3)
    recorder.press_in(0.01)
    recorder.record(1_000, 3)
    recorder.press_in(0.02)
    recorder.record(1_000, 3)
    samples, _ = recorder.heard()
    check_runs(samples, 3 * BLOCK + 160, 3 * BLOCK + 160, 3 * BLOCK - 320)


def test_a_sound_system_that_delivers_late_is_judged_by_when_it_recorded() -> None:
    recorder = Recorder(latency_s=0.3)
    recorder.record(1_000, 20)
    recorder.mute.toggle()  # ten blocks more were recorded before, and are not delivered yet
    recorder.record(1_000, 10)
    recorder.record(2_000, 10)
    recorder.mute.toggle()
    recorder.record(2_000, 10)
    recorder.record(3_000, 5)
    samples, _ = recorder.heard()
    check_runs(samples, 30 * BLOCK, 20 * BLOCK, 5 * BLOCK)


def test_what_began_muted_is_muted_until_the_key() -> None:
    recorder = Recorder(is_on=True)
    recorder.record(1_000, 10)
    recorder.mute.toggle()
    recorder.record(1_000, 5)
    samples, muted = recorder.heard()
    assert not samples[: 9 * BLOCK].any()
    assert np.count_nonzero(samples) == pytest.approx(5 * BLOCK, abs=40)
    assert muted == [True] * 10 + [False] * 5


def test_a_key_that_was_noticed_late_holds_from_when_it_was_pressed() -> None:
    """A signal that came while the process started."""
    recorder = Recorder()
    recorder.record(1_000, 10)
    recorder.mute.toggle(recorder.now - 0.15)
    recorder.record(2_000, 5)
    samples, muted = recorder.heard()
    check_runs(samples, 5 * BLOCK, 10 * BLOCK)
    assert muted == [False] * 5 + [True] * 10
