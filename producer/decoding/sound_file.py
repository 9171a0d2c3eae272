"""Files that libsndfile reads: WAV, AIFF, CAF, AU, RF64 and many more."""

import io
import os
from collections.abc import Iterator
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from common.audio import check_recording
from common.closeable import Closeable
from common.errors import BadInput
from producer.decoding.recording import BLOCK_S, Block, Damage, UnknownFormat

_BLOCK_VALUES: Final = 2**20
"""Samples of all channels in a block, at most: 4 MiB."""


class _UnseekableFile(soundfile.SoundFile):  # type: ignore[misc] # soundfile ships no types
    """A file that is read from its beginning without seeking.

    soundfile seeks to its position after every read. In MP3 that loses what a frame borrows from
    the frames before it: a crack between every two blocks, as loud as the sound itself.
    """

    def seekable(self) -> bool:
        return False


class SoundFile(Closeable):
    """An open recording that libsndfile reads; `name` is for sentences.

    `missing` tells which part of the length in the header is not there, 0 to 1. `states_length`:
    as for `MediaFile`.

    Opening raises `UnknownFormat` if libsndfile does not read it, and `BadInput` if it holds no
    audio or states what is not accepted; `blocks` raises `BadInput` where it turns out to be
    damaged.
    """

    def __init__(
        self, name: str, file: io.RawIOBase, *, missing: float = 0.0, states_length: bool
    ) -> None:
        self._name = name
        self._missing = missing
        self._states_length = states_length
        try:
            if isinstance(file, io.FileIO):  # the quicker way
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                self._file = _UnseekableFile(file.fileno(), closefd=False)
            else:
                file.seek(0)
                self._file = _UnseekableFile(file)
        except (soundfile.LibsndfileError, TypeError) as error:
            raise UnknownFormat(f"{name} is no audio that libsndfile reads ({error})") from None
        self._rate = int(self._file.samplerate)
        try:
            check_recording(name, self._rate, self._file.channels)
        except BadInput:
            self.close()
            raise

    @property
    def duration_s(self) -> float:
        """Length in seconds by the header."""
        return float(self._file.frames / self._rate / (1 - self._missing))

    def blocks(self) -> Iterator[Block]:
        """Yield all samples, each time at most a second of them."""
        size = max(1, min(round(BLOCK_S * self._rate), _BLOCK_VALUES // self._file.channels))
        done = 0
        damage = Damage(self._name)
        while True:
            try:
                block: NDArray[np.float32] = self._file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                damage.note(error.error_string)
                break
            if not len(block):
                break
            done += len(block)
            yield Block(self._rate, block)
            damage.reach(done / self._rate)
        # what was cut off just ends for libsndfile
        is_mp3 = self._file.format == "MP3" and self._states_length
        damage.finish(self.duration_s if self._missing or is_mp3 else 0.0)

    def close(self) -> None:
        self._file.close()
