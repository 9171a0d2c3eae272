"""Audio from a pipe as a source: `arecord ... | earshot listen --input -`, raw or a recording."""

import fcntl
import io
import os
import select
import stat
import sys
import termios
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Self

import numpy as np
import structlog
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from producer.sources.pacing import Pace
from producer.sources.piped_decoder import PipedDecoder
from producer.sources.source import DEFAULT_FRAME_MS, FramedSource
from producer.sources.stream_format import is_certain, recognise

log = structlog.get_logger(__name__)

_READ_BYTES: Final = 65_536
"""A pipe's capacity on Linux; the bytes of a slow writer are passed on as they come."""

_WHAT_TO_PIPE: Final = (
    f"pipe raw s16le audio of {SAMPLE_RATE} Hz mono into it, for example "
    f"`arecord -f S16_LE -r {SAMPLE_RATE} -c 1 -t raw`, or a recording"
)

_POLL_S: Final = 0.2
"""How soon `close()` is noticed while the writer is silent."""


class RawPcmSource(FramedSource):
    """Raw s16le at 16 kHz mono from a binary stream, or a recording; with `realtime` at its speed.

    What begins as a recording does is decoded (`producer/sources/stream_format.py`). `channel` of
    it is heard, counted from 1, or all of them with 0. Entering raises `BadInput` for a terminal.
    Iterating raises it for a stream that is empty or is no audio, and where a recording turns out
    to be damaged. Reading from a stream without a file descriptor blocks, and
    `close()` then waits for its next bytes.
    """

    is_live = False

    def __init__(
        self,
        stream: BinaryIO,
        frame_ms: int = DEFAULT_FRAME_MS,
        *,
        realtime: bool = False,
        channel: int = 0,
        name: str = "stdin",
    ) -> None:
        super().__init__(frame_ms)
        self._stream = stream
        self._channel = channel
        self._decoder: PipedDecoder | None = None
        self._closed = threading.Event()
        self._pace = Pace(self._closed) if realtime else None
        self._counting = threading.Lock()
        self._read_bytes = 0
        self.name = name

    def __enter__(self) -> Self:
        if self._stream.isatty():
            raise BadInput(f"nothing is piped into {self.name}: {_WHAT_TO_PIPE}")
        return self

    def close(self) -> None:
        self._closed.set()
        if self._decoder is not None:
            self._decoder.close()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        frames = self._frames()
        return frames if self._pace is None else self._pace.play(frames)

    def position_now(self) -> int:
        """Return how many samples have arrived, the pipe's content included; or were played."""
        with self._counting:
            arrived = (self._read_bytes + self._pending_bytes()) // 2
        if self._decoder is not None:  # nobody knows how much audio these bytes are
            arrived = self.samples
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
        head, rest = self._read_head()
        pieces = chain([head], rest)
        form = recognise(head)
        if form is not None and not form.is_audio:
            raise BadInput(
                f"{self.name} carries {form.name}, which holds no audio: {_WHAT_TO_PIPE}"
            )
        if form is None:
            blocks = self._samples_of(pieces)
        else:
            log.info("decoding_recording", source=self.name, format=form.name)
            self._decoder = PipedDecoder(self.name, form.name, pieces, self._channel)
            blocks = self._decoder.blocks()
        try:
            for block in blocks:
                for frame in self._framer.push(block):
                    if self._closed.is_set():
                        return
                    yield frame
        except BadInput as error:
            if form is None or self.samples:
                raise
            raise BadInput(
                f"{self.name} carries a {form.name} file, not raw samples; it cannot be used:"
                f" {error}"
            ) from None
        yield from self._framer.finish()

    def _samples_of(self, pieces: Iterator[bytes]) -> Iterator[NDArray[np.int16]]:
        if self._channel > 1:
            raise BadInput(
                f"{self.name} has no channel {self._channel}: raw samples have one channel"
            )
        odd = b""
        for data in pieces:
            whole = odd + data
            odd = whole[len(whole) & ~1 :]
            yield np.frombuffer(whole, "<i2", count=len(whole) // 2).astype(np.int16)
        if odd:
            log.warning("dropped_half_a_sample", source=self.name)

    def _read_head(self) -> tuple[bytes, Iterator[bytes]]:
        """Return as much as tells what the stream carries, and the rest."""
        blocks = self._blocks()
        head = b""
        for data in blocks:
            head += data
            if is_certain(head):
                break
        if not head and not self._closed.is_set():
            raise BadInput(f"no audio came from {self.name}: {_WHAT_TO_PIPE}")
        return head, blocks

    def _blocks(self) -> Iterator[bytes]:
        try:
            descriptor = self._stream.fileno()
        except (OSError, io.UnsupportedOperation):
            while data := self._stream.read(_READ_BYTES):
                self._read_bytes += len(data)
                yield data
            return
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not self._closed.is_set():
            # a FIFO that nobody has opened for writing yet has no event, and is not at its end
            if not poll.poll(1_000 * _POLL_S):
                continue
            with self._counting:  # which does not block: there is something to read
                data = os.read(descriptor, _READ_BYTES)
                self._read_bytes += len(data)
            if not data:
                return
            yield data


def open_fifo(path: Path) -> BinaryIO:
    """Open a named pipe, whether somebody writes into it already or not.

    Raises `BadInput` if that is not allowed.
    """
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
