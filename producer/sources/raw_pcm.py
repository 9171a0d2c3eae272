"""Raw audio from a pipe as a source: `arecord ... | earshot listen --input -`."""

import fcntl
import io
import os
import select
import stat
import sys
import termios
import threading
from collections.abc import Iterator
from typing import BinaryIO, Final, Self

import numpy as np
import structlog
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from producer.sources.pacing import Pace
from producer.sources.source import DEFAULT_FRAME_MS, FramedSource

log = structlog.get_logger(__name__)

_READ_BYTES: Final = 65_536
"""A pipe's capacity on Linux; the bytes of a slow writer are passed on as they come."""

_POLL_S: Final = 0.2
"""How soon `close()` is noticed while the writer is silent."""

_HEADERS: Final = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"caff": "CAF", b"FORM": "AIFF"}


class RawPcmSource(FramedSource):
    """Raw s16le at 16 kHz mono from a binary stream; with `realtime` at the speed of speech.

    Entering raises `BadInput` for a terminal. Iterating raises it for a stream that is empty, or
    begins with a file's header. Reading from a stream without a file descriptor blocks, and
    `close()` then waits for its next bytes.
    """

    is_live = False

    def __init__(
        self,
        stream: BinaryIO,
        frame_ms: int = DEFAULT_FRAME_MS,
        *,
        realtime: bool = False,
    ) -> None:
        super().__init__(frame_ms)
        self._stream = stream
        self._closed = threading.Event()
        self._pace = Pace(self._closed) if realtime else None
        self._counting = threading.Lock()
        self._read_bytes = 0
        self.name = "stdin"

    def __enter__(self) -> Self:
        if self._stream.isatty():
            raise BadInput(
                f"nothing is piped into {self.name}: pipe raw s16le audio of {SAMPLE_RATE} Hz mono "
                f"into it, for example `arecord -f S16_LE -r {SAMPLE_RATE} -c 1 -t raw`"
            )
        return self

    def close(self) -> None:
        self._closed.set()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        frames = self._frames()
        return frames if self._pace is None else self._pace.play(frames)

    def position_now(self) -> int:
        """Return how many samples have arrived, the pipe's content included; or were played."""
        with self._counting:
            arrived = (self._read_bytes + self._pending_bytes()) // 2
        return arrived if self._pace is None else min(arrived, self._pace.position_now())

    def _pending_bytes(self) -> int:
        """Return what a recorder has written and nobody has read; a file's rest is none of that."""
        try:
            descriptor = self._stream.fileno()
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return 0
            answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
        except (OSError, ValueError):  # no file at all, or one that does not tell, or closed
            return 0
        return int.from_bytes(answer, sys.byteorder)

    def _frames(self) -> Iterator[NDArray[np.int16]]:
        odd = b""
        for data in self._checked(self._blocks()):
            whole = odd + data
            odd = whole[len(whole) & ~1 :]
            block = np.frombuffer(whole, "<i2", count=len(whole) // 2).astype(np.int16)
            for frame in self._framer.push(block):
                if self._closed.is_set():
                    return
                yield frame
        if odd:
            log.warning("dropped_half_a_sample", source=self.name)
        yield from self._framer.finish()

    def _checked(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Refuse a stream that cannot be raw audio before any of it is passed on."""
        head = b""
        for data in blocks:
            head += data
            if len(head) >= 4:
                break
        if head[:4] in _HEADERS:
            raise BadInput(
                f"{self.name} carries a {_HEADERS[head[:4]]} file, not raw samples; give the "
                f"file's name to --input instead, or convert it to raw s16le {SAMPLE_RATE} Hz mono"
            )
        if not head and not self._closed.is_set():
            raise BadInput(
                f"no audio came from {self.name}; check the command that should write raw s16le "
                f"audio of {SAMPLE_RATE} Hz mono into it"
            )
        yield head
        yield from blocks

    def _blocks(self) -> Iterator[bytes]:
        try:
            descriptor = self._stream.fileno()
        except (OSError, io.UnsupportedOperation):
            while data := self._stream.read(_READ_BYTES):
                self._read_bytes += len(data)
                yield data
            return
        while not self._closed.is_set():
            ready, _, _ = select.select([descriptor], [], [], _POLL_S)
            if not ready:
                continue
            with self._counting:  # which does not block: there is something to read
                data = os.read(descriptor, _READ_BYTES)
                self._read_bytes += len(data)
            if not data:
                return
            yield data
