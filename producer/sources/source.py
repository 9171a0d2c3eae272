"""Sources of audio: what every source promises, and how blocks become frames.

Inside earshot all audio is 16 kHz mono int16; a frame is 10, 20 or 30 ms of it, the sizes that
WebRTC's detector takes.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.closeable import Closeable
from common.errors import BadInput
from common.settings.sections.listen import FRAME_MS, ListenSettings

DEFAULT_FRAME_MS: Final = ListenSettings().frame_ms


def frame_samples(frame_ms: int) -> int:
    """Return the samples of a frame of `frame_ms`; raises `BadInput` if not 10, 20 or 30 ms."""
    if frame_ms not in FRAME_MS:
        raise BadInput(f"a frame of {frame_ms} ms cannot be judged; choose 10, 20 or 30 ms")
    return SAMPLE_RATE * frame_ms // 1000


class Source(Protocol):
    """16 kHz mono audio in frames of one size; entering the context opens it.

    Iterating blocks until the next frame is there. It ends with the input, or soon after `close()`,
    which any thread may call. The caller may keep a frame: nobody writes to it again. The last
    frame of a finite source is padded with zeros.
    """

    @property
    def name(self) -> str:
        """Its name for people: a file's name, a device's name, `stdin`."""

    @property
    def is_live(self) -> bool:
        """True if audio arrives at its own pace, so that a slow reader loses some."""

    @property
    def frame_samples(self) -> int:
        """Length of each frame in samples."""

    @property
    def samples(self) -> int:
        """How many samples it has delivered, without the padding of the last frame."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def __iter__(self) -> Iterator[NDArray[np.int16]]: ...

    def close(self) -> None:
        """End the iteration, from any thread; closing twice does no harm."""


class FramedSource(Closeable):
    """A base of sources that cut the audio that they read into frames.

    `close` ends the iteration. The end of the context also calls `release`.
    """

    def __init__(self, frame_ms: int) -> None:
        self.frame_samples = frame_samples(frame_ms)
        self._framer = Framer(self.frame_samples)

    @property
    def samples(self) -> int:
        return self._framer.samples

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self.release()

    def release(self) -> None:
        """Release what entering the context has opened."""


class Framer:
    """A cutter of blocks of any length into frames of one length; it avoids copies."""

    def __init__(self, frame_samples: int) -> None:
        self._size = frame_samples
        self._rest: NDArray[np.int16] = np.empty(0, np.int16)
        self.samples = 0

    def push(self, block: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
        """Yield the frames that `block` completes; the rest waits for the next block."""
        audio = np.concatenate((self._rest, block)) if len(self._rest) else block
        whole = len(audio) - len(audio) % self._size
        # a copy, so that the rest does not keep the whole block in memory
        self._rest = audio[whole:].copy()
        for start in range(0, whole, self._size):
            self.samples += self._size
            yield audio[start : start + self._size]

    def finish(self) -> Iterator[NDArray[np.int16]]:
        """Yield the last frame, padded with zeros, if anything is left."""
        if len(self._rest):
            self.samples += len(self._rest)
            yield np.pad(self._rest, (0, self._size - len(self._rest)))
            self._rest = np.empty(0, np.int16)
