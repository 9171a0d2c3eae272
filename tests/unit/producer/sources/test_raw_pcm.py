"""Raw samples from a pipe come out whole, however the writer cuts them; what is no raw audio is
refused with one sentence."""

import io
import os
import threading
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import BadInput
from producer.sources.raw_pcm import RawPcmSource

NOISE = np.random.default_rng(0).integers(-32_768, 32_767, 10_001).astype(np.int16)
BYTES = NOISE.astype("<i2").tobytes()


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb", buffering=0) as writer:
        yield reader, writer


def hear(source: RawPcmSource) -> NDArray[np.int16]:
    with source:
        frames = list(source)
    assert all(frame.shape == (source.frame_samples,) for frame in frames)
    return np.concatenate(frames)


def test_bytes_come_out_as_samples_and_the_tail_is_padded() -> None:
    source = RawPcmSource(io.BytesIO(BYTES), 20)
    audio = hear(source)
    assert source.samples == len(NOISE)
    assert np.array_equal(audio[: len(NOISE)], NOISE)
    assert not audio[len(NOISE) :].any()


def test_a_pipe_is_read_whole_however_it_is_written(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe

    def write() -> None:
        for start in range(0, len(BYTES), 333):  # odd: samples are torn apart
            writer.write(BYTES[start : start + 333])
        writer.close()

    writing = threading.Thread(target=write)
    writing.start()
    audio = hear(RawPcmSource(reader))
    writing.join()
    assert np.array_equal(audio[: len(NOISE)], NOISE)


def test_frames_come_before_the_writer_is_done(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe
    writer.write(BYTES[: 2 * 480])
    with RawPcmSource(reader, 30) as source:
        assert np.array_equal(next(iter(source)), NOISE[:480])


def test_closing_ends_the_wait_for_a_silent_writer(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, writer = pipe
    writer.write(BYTES[: 2 * 480])
    heard = threading.Event()
    with RawPcmSource(reader) as source:

        def listen() -> None:
            for _ in source:
                heard.set()

        listening = threading.Thread(target=listen)
        listening.start()
        assert heard.wait(10)
        source.close()
        listening.join(10)
        assert not listening.is_alive()


def test_half_a_sample_at_the_end_is_dropped() -> None:
    source = RawPcmSource(io.BytesIO(BYTES + b"\x01"))
    hear(source)
    assert source.samples == len(NOISE)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no audio came from stdin"),
        (b"RIFF" + BYTES, "stdin carries a WAV file, not raw samples"),
        (b"fLaC" + BYTES, "stdin carries a FLAC file"),
        (b"OggS" + BYTES, "stdin carries a Ogg file"),
    ],
)
def test_what_is_no_raw_audio_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        hear(RawPcmSource(io.BytesIO(data)))


def test_a_header_that_comes_in_pieces_is_recognised(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    class Pieces(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(1)

    with pytest.raises(BadInput, match="carries a WAV file"):
        hear(RawPcmSource(Pieces(b"RIFF" + BYTES)))


def test_a_terminal_is_refused() -> None:
    controller, terminal = os.openpty()
    try:
        with (
            os.fdopen(terminal, "rb", buffering=0) as stream,
            pytest.raises(BadInput, match="nothing is piped into stdin: pipe raw s16le"),
            RawPcmSource(stream),
        ):
            pass
    finally:
        os.close(controller)
