"""Files that libsndfile reads: WAV, FLAC, MP3, Ogg, AIFF and many more."""

import os
from collections.abc import Iterator
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from common.audio import check_recording
from common.closeable import Closeable
from common.errors import BadInput
from producer.decoding.recording import BLOCK_S, Block, damage

_BLOCK_VALUES: Final = 2**20
"""Samples of all channels in a block, at most: 4 MiB."""

_CUT_SHORT_S: Final = 1.0
"""An MP3 may be shorter than its header says, by its encoder's padding, but never by so much."""

_LENGTH_TAGS: Final = (b"Xing", b"Info", b"VBRI")
"""An MP3 that states its length has one of them in its first frame. Without it, libsndfile guesses
by the bit rate of the beginning, and may be far off."""

_FIRST_FRAME: Final = 2_048
"""Bytes: no MP3 frame is longer."""


class _UnseekableFile(soundfile.SoundFile):  # type: ignore[misc] # soundfile ships no types
    """A file that is read from its beginning without seeking.

    soundfile seeks to its position after every read. In MP3 that loses what a frame borrows from
    the frames before it: a crack between every two blocks, as loud as the sound itself.
    """

    def seekable(self) -> bool:
        return False


class SoundFile(Closeable):
    """An open recording that libsndfile reads; `name` is for sentences.

    Opening raises `UnknownFormat` if libsndfile does not read it, and `BadInput` if it holds no
    audio or states what is not accepted; `blocks` raises `BadInput` where it turns out to be
    damaged.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        self._descriptor = descriptor
        try:
            self._file = _UnseekableFile(descriptor, closefd=False)
        except (soundfile.LibsndfileError, TypeError) as error:
            raise UnknownFormat(str(error)) from None
        self._rate = int(self._file.samplerate)
        try:
            check_recording(name, self._rate, self._file.channels)
        except BadInput:
            self.close()
            raise

    @property
    def duration_s(self) -> float:
        """Length in seconds by the header."""
        return float(self._file.frames / self._rate)

    def blocks(self) -> Iterator[Block]:
        """Yield all samples, each time at most a second of them."""
        size = max(1, min(round(BLOCK_S * self._rate), _BLOCK_VALUES // self._file.channels))
        done = 0
        while True:
            try:
                block: NDArray[np.float32] = self._file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise damage(self._name, done / self._rate, error.error_string) from error
            if not len(block):
                break
            done += len(block)
            yield Block(self._rate, block)
        # an MP3 that was cut off, or that is damaged, just ends for libsndfile
        is_short = (self._file.frames - done) / self._rate > _CUT_SHORT_S
        if is_short and _states_length(self._descriptor):
            raise BadInput(
                f"{self._name} is damaged: it ends after {done / self._rate:.1f} s"
                f" of {self.duration_s:.1f} s; what came before was used"
            )

    def close(self) -> None:
        self._file.close()


class UnknownFormat(Exception):
    """libsndfile does not read the file."""


def _states_length(descriptor: int) -> bool:
    """Return whether the file is an MP3 that states its length."""
    head = os.pread(descriptor, 10, 0)
    is_tagged = head[:3] == b"ID3"
    tag = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:])))
    # https://id3.org/id3v2.3.0, "ID3v2 header"
    first = os.pread(descriptor, _FIRST_FRAME, 10 + tag if is_tagged else 0)
    return first[:1] == b"\xff" and any(tag in first for tag in _LENGTH_TAGS)
