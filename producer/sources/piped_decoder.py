"""A recording that comes through a pipe: a decoder reads it while it comes."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from producer.decoding.decoder_process import DecoderProcess

_FROM_ITS_END: Final = {"MP4", "CAF", "WavPack", "Monkey's Audio", "Musepack", "MXF"}
"""Formats that FFmpeg does not read from a pipe, as their index may stand at the end: they are kept
in a temporary file until then."""


class PipedDecoder:
    """The decoder of a recording that comes in `pieces`; `name` is for sentences.

    `channel` counts from 1, and 0 mixes all of them. Any thread may call `close`.
    """

    def __init__(self, name: str, form: str, pieces: Iterator[bytes], channel: int) -> None:
        self._name = name
        self._pieces = pieces
        self._channel = channel
        self._keeps = form in _FROM_ITS_END
        self._decoder: DecoderProcess | None = None
        self._is_closed = threading.Event()

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """Yield all samples, 16 kHz mono; raises `BadInput` where there are no more."""
        if self._keeps:
            with tempfile.TemporaryFile() as file:
                for piece in self._pieces:
                    file.write(piece)
                file.flush()
                yield from self._decode(file, lambda: None)
            return
        read_end, write_end = os.pipe()
        sending = threading.Thread(target=self._send, args=(write_end,), daemon=True, name="pipe")
        with os.fdopen(read_end, "rb") as file:
            yield from self._decode(file, sending.start)

    def close(self) -> None:
        """End the decoder, and the iteration."""
        self._is_closed.set()
        if self._decoder is not None:
            self._decoder.kill()

    def _decode(self, file: BinaryIO, begin: Callable[[], None]) -> Iterator[NDArray[np.int16]]:
        decoder = self._decoder = DecoderProcess(
            self._name, file, channel=self._channel, is_patient=True
        )
        file.close()  # so that who writes into the pipe learns of the decoder's end
        try:
            begin()
            if self._is_closed.is_set():
                return
            decoder.read_header()
            yield from decoder.blocks()
        finally:
            decoder.close()

    def _send(self, descriptor: int) -> None:
        with suppress(OSError), os.fdopen(descriptor, "wb", buffering=0) as pipe:
            for piece in self._pieces:
                left = memoryview(piece)
                while left:
                    left = left[pipe.write(left) or 0 :]
