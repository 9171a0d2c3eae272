"""Recordings in the formats that FFmpeg writes, made with PyAV."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

FREQUENCY: Final = 440
SECONDS: Final = 2.5


def write_media(
    path: Path,
    codec: str,
    layout: str = "mono",
    rate: int = 48_000,
    *,
    seconds: float = SECONDS,
    container: str | None = None,
    title: str = "",
    **options: Any,
) -> None:
    """Write a tone of 440 Hz at half of full scale, the same in every channel.

    `layout` is FFmpeg's name for the channels; `container` is its name for the format, by default
    that of the path's ending.
    """
    with av.open(str(path), "w", format=container, **options) as output:
        if title:
            output.metadata["title"] = title
        stream: Any = output.add_stream(codec, rate=rate, layout=layout)
        stream.options = {"strict": "experimental"}  # of FFmpeg's own encoder of Vorbis
        stream.bit_rate = 64_000  # Windows Media has no default
        form = stream.codec_context.format
        size = stream.codec_context.frame_size or 1_024
        # packed on its way there: PyAV cannot handle eight planes
        converter = av.AudioResampler(form, layout, rate, frame_size=size)
        for frame in _frames(layout, rate, seconds):
            for converted in converter.resample(frame):
                output.mux(stream.encode(converted))
        for converted in converter.resample(None):
            output.mux(stream.encode(converted))
        output.mux(stream.encode(None))


def _frames(layout: str, rate: int, seconds: float) -> Iterator[Any]:
    channels = av.AudioLayout(layout).nb_channels
    for start in range(0, round(seconds * rate), 1_024):
        wave = 0.5 * np.sin(2 * np.pi * FREQUENCY * np.arange(start, start + 1_024) / rate)
        packed = np.repeat(wave.astype(np.float32), channels)[None]
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
        yield frame


def strongest_frequency(audio: NDArray[np.int16], rate: int = 16_000) -> float:
    """Hz of the loudest tone in it."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return float(np.argmax(spectrum)) * rate / len(audio)


def loudness(audio: NDArray[np.int16]) -> float:
    """Root mean square, 1.0 for full scale."""
    return float(np.sqrt(np.mean(np.square(audio / 32_768.0))))


def encode_media(
    path: Path,
    codec: str,
    samples: NDArray[np.float32],
    *,
    rate: int = 16_000,
    container: str | None = None,
    start_s: float = 0.0,
) -> bytes:
    """Write samples of 16 kHz, and return what the file holds; its clock begins at `start_s`."""
    with av.open(str(path), "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout="mono")
        size = stream.codec_context.frame_size or 1_024
        converter = av.AudioResampler(stream.codec_context.format, "mono", rate, frame_size=size)
        for at in range(0, len(samples), 1_024):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1_024], "flt", "mono")
            frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
            frame.pts = round(start_s * 16_000) + at
            for converted in converter.resample(frame):
                output.mux(stream.encode(converted))
        for converted in converter.resample(None):
            output.mux(stream.encode(converted))
        output.mux(stream.encode(None))
    return path.read_bytes()
