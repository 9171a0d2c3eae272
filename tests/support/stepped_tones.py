"""Recordings in which each second has a tone of its own, so that what is heard shows its time."""

import io
import os
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from common.errors import BadInput
from producer.decoding.decoder import decode
from producer.decoding.messages import AUDIO, HEADER, MessageWriter

RATE: Final = 16_000
LOWEST_HZ: Final = 300
STEP_HZ: Final = 70
WITHIN_S: Final = 0.2
"""How exact the times are: a step is looked for so far from both of its ends."""


def tones(steps: range, rate: int = RATE) -> NDArray[np.float32]:
    """Return a second of tone for each step."""
    time = np.arange(rate) / rate
    waves = [0.4 * np.sin(2 * np.pi * (LOWEST_HZ + STEP_HZ * step) * time) for step in steps]
    return np.concatenate(waves).astype(np.float32)


def write_wave(steps: range, kind: str = "WAV") -> bytes:
    """Return a file of 16 bits in a format that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, tones(steps), RATE, format=kind, subtype="PCM_16")
    return file.getvalue()


def write_tones(
    path: Path,
    codec: str,
    steps: range,
    *,
    layout: str = "mono",
    rate: int = RATE,
    container: str | None = None,
    start_s: float = 0.0,
    tracks: int = 1,
    **options: str,
) -> bytes:
    """Write tones with FFmpeg, and return what the file holds.

    The clock of the file begins at `start_s`. All of the tracks hold the same.
    """
    options = {"avoid_negative_ts": "disabled"} | options
    with av.open(str(path), "w", format=container, container_options=options) as output:
        streams: list[Any] = [
            output.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)
        ]
        for stream in streams:
            stream.options = {"strict": "experimental"}
            stream.bit_rate = 64_000
        for stream in streams:
            for frame in _frames(stream, tones(steps, rate), layout, rate, round(start_s * rate)):
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return path.read_bytes()


def _frames(
    stream: Any, samples: NDArray[np.float32], layout: str, rate: int, start: int
) -> list[Any]:
    size = stream.codec_context.frame_size or 1_024
    converter = av.AudioResampler(stream.codec_context.format, layout, rate, frame_size=size)
    channels = av.AudioLayout(layout).nb_channels
    frames = []
    for at in range(0, len(samples), 4_096):
        packed = np.repeat(samples[at : at + 4_096], channels)[None]
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start + at
        frames += converter.resample(frame)
    return frames + converter.resample(None)


class Heard(NamedTuple):
    """The steps that were heard, one for each second (None for silence), and the sentence after."""

    steps: list[int | None]
    error: str
    seconds: float


def hear(path: Path) -> Heard:
    """Decode a file as a decoder does, in this process."""
    read_end, write_end = os.pipe()
    written: list[bytes] = []
    error = ""
    with os.fdopen(read_end, "rb") as pipe, path.open("rb") as file:
        reading = threading.Thread(target=lambda: written.append(pipe.read()))
        reading.start()
        try:
            decode(path.name, file.fileno(), MessageWriter(write_end), report=lambda _: None)
        except BadInput as refusal:
            error = str(refusal)
        finally:
            os.close(write_end)
            reading.join()
    audio = _read_audio(written[0])
    return Heard(find_steps(audio), error, len(audio) / RATE)


def find_steps(audio: NDArray[np.int16]) -> list[int | None]:
    """Return the step of each whole second, each within WITHIN_S of its time."""
    found: list[int | None] = []
    for second in range(round(len(audio) / RATE)):
        begin = round((second + WITHIN_S) * RATE)
        end = round((second + 1 - WITHIN_S) * RATE)
        found.append(_find_step(audio[begin:end]))
    return found


def _find_step(piece: NDArray[np.int16]) -> int | None:
    thirds = np.array_split(piece, 3)
    heard = {_round_to_step(part) for part in thirds}
    return heard.pop() if len(heard) == 1 else None


def _round_to_step(part: NDArray[np.int16]) -> int | None:
    if len(part) < RATE // 10 or np.abs(part).max() < 300:
        return None
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), n=RATE))  # a bin for each Hz
    step = (float(np.argmax(spectrum)) - LOWEST_HZ) / STEP_HZ
    return round(step) if abs(step - round(step)) < 0.3 else None


def _read_audio(data: bytes) -> NDArray[np.int16]:
    pieces, at = [b""], 0
    while at < len(data):
        kind, length = HEADER.unpack_from(data, at)
        at += HEADER.size
        if kind == AUDIO:
            pieces.append(data[at : at + length])
        at += length
    return np.frombuffer(b"".join(pieces), np.int16)
