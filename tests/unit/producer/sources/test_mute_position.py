"""A mute takes effect where it was pressed: what was recorded before is heard, however late the ear
comes to it, and what was recorded after is not."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.sources.audio_file import AudioFileSource
from producer.sources.mute import MutableSource, Mute
from producer.sources.raw_pcm import RawPcmSource
from tests.support.speech_script import FRAME


def said(value: int, samples: int) -> bytes:
    return np.full(samples, value, "<i2").tobytes()


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, int]]:
    """What the source reads, and where the recorder writes; a lagging ear leaves it full."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        yield stream, writing


def rest_of(frames: Iterator[NDArray[np.int16]]) -> NDArray[np.int16]:
    return np.concatenate([*frames])


def values(samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    """The runs of equal samples: value, length."""
    edges = np.flatnonzero(np.diff(samples)) + 1
    return [(int(run[0]), len(run)) for run in np.split(samples, edges)]


@pytest.mark.parametrize("before", [FRAME, 10 * FRAME, 10 * FRAME + 7, 30_000])
def test_what_the_pipe_held_when_the_key_was_pressed_is_heard(
    before: int, pipe: tuple[BinaryIO, int]
) -> None:
    stream, writing = pipe
    mute = Mute()
    frames = iter(MutableSource(RawPcmSource(stream), mute))
    os.write(writing, said(1, before))
    first = next(frames)
    mute.toggle()  # the ear is at the first frame
    os.write(writing, said(2, 900))
    mute.toggle()
    os.write(writing, said(3, 1_001))
    os.close(writing)
    samples = np.concatenate([first, rest_of(frames)])[: before + 1_901]
    assert values(samples) == [(1, before), (0, 900), (3, 1_001)]


def test_each_frame_says_whether_it_ended_in_silence(pipe: tuple[BinaryIO, int]) -> None:
    stream, writing = pipe
    mute = Mute()
    source = MutableSource(RawPcmSource(stream), mute)
    os.write(writing, said(1, 4 * FRAME))
    told: list[bool] = []
    for frame in source:
        told.append(source.is_muted)
        if len(told) == 1:
            mute.toggle()
            os.write(writing, said(2, 3 * FRAME))
            mute.toggle()
            os.write(writing, said(3, 2 * FRAME))
            os.close(writing)
        assert bool(frame.any()) is not source.is_muted
    assert told == [False] * 4 + [True] * 3 + [False] * 2


def test_what_is_muted_before_anything_is_read_is_muted_from_the_beginning(
    pipe: tuple[BinaryIO, int],
) -> None:
    """The signal came while the process started; it took effect when that was done."""
    stream, writing = pipe
    mute = Mute()
    source = MutableSource(RawPcmSource(stream), mute)
    os.write(writing, said(1, 2 * FRAME))
    mute.toggle()
    os.close(writing)
    assert not rest_of(iter(source)).any()


@pytest.mark.parametrize("kind", ["regular file", "no file"])
def test_of_a_recording_on_stdin_all_that_was_not_read_is_muted(kind: str, tmp_path: Path) -> None:
    """Nobody speaks there: it did not arrive, it lies there."""
    content = said(1, 200_000)
    path = tmp_path / "audio.raw"
    path.write_bytes(content)
    mute = Mute()
    stream: BinaryIO = path.open("rb") if kind == "regular file" else io.BytesIO(content)
    with stream:
        frames = iter(MutableSource(RawPcmSource(stream), mute))
        first = next(frames)
        mute.toggle()
        heard = np.count_nonzero(np.concatenate([first, rest_of(frames)]))
    assert heard <= 65_536 // 2 + FRAME, "no more than was read at once"


class Playing:
    """The clock of a recording that is played, and of an ear that lags."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_at_the_speed_of_speech_the_place_is_where_the_playing_was(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "talk.wav"
    soundfile.write(path, np.full(2 * SAMPLE_RATE, 1_000, np.int16), SAMPLE_RATE)
    clock = Playing()
    mute = Mute()
    source = AudioFileSource(path, realtime=True, clock=clock, sleep=clock.sleep)
    with source:
        frames = iter(MutableSource(source, mute))
        parts = [next(frames)]
        clock.now = 100.5  # the ear was busy for half a second
        mute.toggle()
        clock.now = 101.0
        mute.toggle()
        parts += frames
    samples = np.concatenate(parts)[: 2 * SAMPLE_RATE]
    assert [(bool(value), length) for value, length in values(np.sign(samples))] == [
        (True, 8_000),
        (False, 8_000),
        (True, 16_000),
    ]


def test_a_key_that_is_pressed_while_the_ear_reads_is_never_early(
    pipe: tuple[BinaryIO, int],
) -> None:
    """Between the reading of bytes and their counting, the pipe seems to hold less."""
    stream, writing = pipe
    mute = Mute()
    source = MutableSource(RawPcmSource(stream), mute)
    done = threading.Event()

    def press() -> None:
        while not done.is_set():
            mute.toggle()

    def speak() -> None:
        for _ in range(300):
            os.write(writing, said(1, 4_000))
        os.close(writing)

    def total(samples: Iterator[NDArray[np.int16]]) -> int:
        return sum(len(frame) for frame in samples)

    threads = [threading.Thread(target=work) for work in (press, speak)]
    for thread in threads:
        thread.start()
    try:
        heard = total(iter(source))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert heard == 1_200_000
