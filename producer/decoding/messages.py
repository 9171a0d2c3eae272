"""What a decoder says to the process that started it: messages in its standard output.

A message is a byte for its kind, its length as four bytes (big-endian), and so many bytes. They
come in this order: `CHANNELS` if one channel is wanted, `DURATION` and any number of `AUDIO`, then
`END` or `REFUSAL`. A recording that cannot be used at all is one `REFUSAL`.
"""

import os
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE

HEADER: Final = struct.Struct(">cI")
"""The kind and the length."""

DURATION: Final = b"D"
"""A float64 (big-endian): the recording's length in s by its header, 0 if the header lacks it."""

CHANNELS: Final = b"C"
"""Four bytes (big-endian): how many channels the recording begins with. Said if one is wanted."""

AUDIO: Final = b"A"
"""Samples: int16 of this machine, 16 kHz, mono."""

END: Final = b"E"
"""No bytes: everything was said."""

REFUSAL: Final = b"R"
"""UTF-8: a sentence for a person that says why there is no more audio."""

LONGEST: Final = 65_536
"""Bytes of the longest message: 2 s of audio, and as much as a pipe holds on Linux."""

FLOAT: Final = struct.Struct(">d")
COUNT: Final = struct.Struct(">I")

_SAMPLES: Final = LONGEST // 2


class MessageWriter:
    """The decoder's end of the pipe. A pipe that nobody reads any more ends the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.samples = 0

    @property
    def audio_s(self) -> float:
        """Seconds of audio that were written so far."""
        return self.samples / SAMPLE_RATE

    def write_channels(self, channels: int) -> None:
        self._write(CHANNELS, COUNT.pack(channels))

    def write_duration(self, seconds: float) -> None:
        self._write(DURATION, FLOAT.pack(seconds))

    def write_audio(self, samples: NDArray[np.int16]) -> None:
        """Write int16 samples (16 kHz, mono), any number of them."""
        for start in range(0, len(samples), _SAMPLES):
            self._write(AUDIO, samples[start : start + _SAMPLES].tobytes())
        self.samples += len(samples)

    def write_end(self) -> None:
        self._write(END, b"")

    def write_refusal(self, sentence: str) -> None:
        self._write(REFUSAL, sentence.encode("utf-8", "replace")[:LONGEST])

    def _write(self, kind: bytes, payload: bytes) -> None:
        left = memoryview(HEADER.pack(kind, len(payload)) + payload)
        while left:
            left = left[os.write(self._descriptor, left) :]
