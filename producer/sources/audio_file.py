"""Recordings as a source: any file that libsndfile or PyAV reads, read and resampled in blocks."""

import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from common.errors import BadInput
from producer.sources.media_file import MediaFile
from producer.sources.pacing import pace_frames
from producer.sources.resample import Resampler
from producer.sources.source import DEFAULT_FRAME_MS, Framer, frame_samples

_BLOCK_S: Final = 1.0
"""Audio read at a time: memory stays the same for a word and for three hours."""

_MAX_CHANNELS: Final = 64
"""More than any recorder has; a header that claims more is damaged."""

_CUT_SHORT_S: Final = 1.0
"""An MP3 may be shorter than its header says, by its encoder's padding, but never by so much."""

_LENGTH_TAGS: Final = (b"Xing", b"Info", b"VBRI")
"""An MP3 that states its length has one of them in its first frame. Without it, libsndfile guesses
by the bit rate of the beginning, and may be far off."""

_FIRST_FRAME: Final = 2_048
"""Bytes: no MP3 frame is longer."""


class _Recording(soundfile.SoundFile):  # type: ignore[misc] # soundfile ships no types
    """A file that is read from its beginning without seeking.

    soundfile seeks to its position after every read. In MP3 that loses what a frame borrows from
    the frames before it: a crack between every two blocks, as loud as the sound itself.
    """

    def seekable(self) -> bool:
        return False

    @property
    def duration_s(self) -> float:
        return float(self.frames / self.samplerate)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield all samples in blocks. Raises `BadInput` where the file turns out to be damaged."""
        size = round(_BLOCK_S * self.samplerate)
        done = 0
        while True:
            try:
                block: NDArray[np.float32] = self.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise BadInput(
                    f"{self.name} is damaged after {done / self.samplerate:.1f} s "
                    f"({error.error_string}); what came before was used"
                ) from error
            if not len(block):
                break
            done += len(block)
            yield block
        # an MP3 that was cut off, or that is damaged, just ends for libsndfile
        if (self.frames - done) / self.samplerate > _CUT_SHORT_S and _states_length(
            Path(self.name)
        ):
            raise BadInput(
                f"{self.name} is damaged: it ends after {done / self.samplerate:.1f} s"
                f" of {self.duration_s:.1f} s; what came before was used"
            )


def _states_length(path: Path) -> bool:
    """Return whether the file is an MP3 that states its length."""
    with path.open("rb") as file:
        head = file.read(10)
        is_tagged = head[:3] == b"ID3"
        tag = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:])))
        file.seek(10 + tag if is_tagged else 0)  # https://id3.org/id3v2.3.0, "ID3v2 header"
        first = file.read(_FIRST_FRAME)
    return first[:1] == b"\xff" and any(tag in first for tag in _LENGTH_TAGS)


class AudioFileSource:
    """A recording at any rate, mono or not, as 16 kHz mono frames; `realtime` at its own speed.

    Entering raises `BadInput` when the file is missing, is no audio, or holds none; iterating
    raises it when the file turns out to be damaged further on, after the frames before that place.
    """

    is_live = False

    def __init__(
        self,
        path: Path | str,
        frame_ms: int = DEFAULT_FRAME_MS,
        *,
        realtime: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._path = Path(path)
        self._framer = Framer(frame_samples(frame_ms))
        self._realtime = realtime
        self._clock = clock
        self._sleep = sleep
        self._closed = threading.Event()
        self._file: _Recording | MediaFile | None = None
        self.frame_samples = frame_samples(frame_ms)

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def samples(self) -> int:
        return self._framer.samples

    @property
    def duration_s(self) -> float:
        """Length in seconds by the header; 0 before it is open, or if the header lacks it."""
        return self._file.duration_s if self._file else 0.0

    def __enter__(self) -> Self:
        self._file = _open(self._path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if self._file is not None:
            self._file.close()

    def close(self) -> None:
        self._closed.set()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        frames = self._frames()
        if self._realtime:
            return pace_frames(frames, self._closed, clock=self._clock, sleep=self._sleep)
        return frames

    def _frames(self) -> Iterator[NDArray[np.int16]]:
        if self._file is None:
            raise RuntimeError("an audio file is read inside its context")
        resampler = Resampler(self._file.samplerate)
        for block in self._file.blocks():
            for frame in self._framer.push(resampler.push(block)):
                if self._closed.is_set():
                    return
                yield frame
        yield from self._framer.push(resampler.finish())
        yield from self._framer.finish()


def _open(path: Path) -> _Recording | MediaFile:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise BadInput(f"{path} is a folder; name one audio file in it")
        if not stat.S_ISREG(mode):
            raise BadInput(f"{path} is not a regular file; pipe raw samples into `--input -`")
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except FileNotFoundError:
        raise BadInput(f"there is no file {path}; check its name") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if is_empty:
        raise BadInput(f"{path} is empty; record it again")
    try:
        audio = _Recording(path)
    except (soundfile.LibsndfileError, TypeError):
        # soundfile raises TypeError for a headerless format, recognised by its suffix alone
        return MediaFile(path)
    if not audio.frames or audio.channels > _MAX_CHANNELS:
        audio.close()
        raise BadInput(f"{path} has a header, but holds no audio; record it again")
    return audio
