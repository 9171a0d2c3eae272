"""Recordings as a source: any file that libsndfile or PyAV reads, decoded in its own process."""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from common.errors import BadInput, to_printable
from producer.decoding.decoder_process import DecoderProcess
from producer.sources.pacing import Pace
from producer.sources.source import DEFAULT_FRAME_MS, FramedSource


class AudioFileSource(FramedSource):
    """A recording at any rate, mono or not, as 16 kHz mono frames; `realtime` at its own speed.

    Sentences call it `called`, by default its path. `channel` counts from 1; 0 mixes all of them
    (`producer/decoding/channel_mix.py`).

    Entering waits until the first audio is decoded, which takes a fraction of a second or, with a
    bad file, up to a minute: an event loop enters it in a thread. Entering again changes nothing.
    It raises `BadInput` when the file is missing, is no audio, or holds none. Iterating raises it
    when the file turns out to be damaged further on, after the frames before that place.
    """

    is_live = False

    def __init__(
        self,
        path: Path | str,
        frame_ms: int = DEFAULT_FRAME_MS,
        *,
        realtime: bool = False,
        called: str = "",
        channel: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(frame_ms)
        self._path = Path(path)
        self._called = to_printable(called or str(path))
        self._channel = channel
        self._closed = threading.Event()
        self._pace = Pace(self._closed, clock=clock, sleep=sleep) if realtime else None
        self._decoder: DecoderProcess | None = None
        self._opening = threading.Lock()

    @property
    def name(self) -> str:
        return to_printable(self._path.name)

    @property
    def duration_s(self) -> float:
        """Length in seconds by the header; 0 before it is open, or if the header lacks it."""
        return self._decoder.duration_s if self._decoder else 0.0

    @property
    def channels(self) -> int:
        """How many channels the recording begins with; known when a `channel` of it is open."""
        return self._decoder.channels if self._decoder else 1

    @property
    def decoder_pid(self) -> int | None:
        """The id of the process that decodes; None before it is open."""
        return self._decoder.pid if self._decoder else None

    def __enter__(self) -> Self:
        with self._opening:
            if self._decoder is None:
                self._open()
        return self

    def release(self) -> None:
        """Wait until the decoder has ended."""
        with self._opening:  # perhaps in another thread, which `close` has ended
            if self._decoder is not None:
                self._decoder.close()

    def close(self) -> None:
        self._closed.set()
        decoder = self._decoder
        if decoder is not None:
            decoder.kill()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        frames = self._frames()
        return frames if self._pace is None else self._pace.play(frames)

    def position_now(self) -> int:
        """Return how many samples were played so far; without `realtime`, how many were read."""
        return self.samples if self._pace is None else self._pace.position_now()

    def _frames(self) -> Iterator[NDArray[np.int16]]:
        if self._decoder is None:
            raise RuntimeError("an audio file is read inside its context")
        for block in self._decoder.blocks():
            for frame in self._framer.push(block):
                if self._closed.is_set():
                    return
                yield frame
        yield from self._framer.finish()

    def _open(self) -> None:
        self._decoder = decoder = _start_decoder(self._path, self._called, self._channel)
        if self._closed.is_set():  # by another thread, which did not see the decoder
            decoder.kill()
        try:
            decoder.read_header()
        except BaseException:
            self._decoder = None
            decoder.close()
            raise


def _start_decoder(path: Path, name: str, channel: int) -> DecoderProcess:
    """Start the decoder of a file; raises `BadInput` if it is missing, empty, or no plain file."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise BadInput(f"{name} is a folder; name one audio file in it")
        if not stat.S_ISREG(mode):
            raise BadInput(f"{name} is not a regular file; pipe raw samples into `--input -`")
        with path.open("rb") as file:
            if not os.pread(file.fileno(), 1, 0):
                raise BadInput(f"{name} is empty; record it again")
            return DecoderProcess(name, file, channel=channel)
    except FileNotFoundError:
        raise BadInput(f"there is no file {name}; check its name") from None
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}") from error
