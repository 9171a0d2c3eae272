"""Files that libsndfile cannot read (m4a, mp4, webm, mov, wma ...): their first track, by PyAV."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.closeable import Closeable
from common.errors import BadInput

_LONGEST_GAP_S: Final = 0.1
"""A longer gap is filled with silence, so that times stay those of the file."""

_BLOCK_S: Final = 1.0
"""Silence handed out at a time."""


class MediaFile(Closeable):
    """An open file's first audio track as float blocks of shape (samples, channels).

    Opening raises `BadInput` when PyAV is missing or finds no audio in the file; `blocks` raises
    it when the file turns out to be damaged further on.
    """

    def __init__(self, path: Path) -> None:
        try:
            import av
        except ImportError:
            raise _unreadable_error(
                path, "pip install 'earshot[jobs]' reads many more formats"
            ) from None
        self._av: Any = av
        self._path = path
        try:
            # a playlist must not have this host fetch what it names
            self._container: Any = av.open(str(path), options={"protocol_whitelist": "file"})
        except (av.error.FFmpegError, ValueError) as error:
            raise _unreadable_error(path, _explain(error)) from None
        tracks = self._container.streams.audio
        if not tracks or not tracks[0].codec_context or not tracks[0].rate:
            self._container.close()
            raise _unreadable_error(path, "it holds no audio track")
        self._track = tracks[0]
        self.samplerate = int(self._track.rate)

    @property
    def duration_s(self) -> float:
        """Length in seconds by the header; 0 if the header lacks it."""
        if self._container.duration is None:
            return 0.0
        return float(self._container.duration / self._av.time_base)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the whole track, from the beginning of the file."""
        resampler = self._av.AudioResampler(
            format="fltp", layout=self._track.layout, rate=self.samplerate
        )
        position = 0
        try:
            for decoded in self._container.decode(self._track):
                for frame in resampler.resample(decoded):
                    block: NDArray[np.float32] = frame.to_ndarray().T
                    for filled in self._silence_before(frame, position, block.shape[1]):
                        position += len(filled)
                        yield filled
                    position += len(block)
                    yield block
        except self._av.error.FFmpegError as error:
            raise BadInput(
                f"{self._path} is damaged after {position / self.samplerate:.1f} s"
                f" ({_explain(error)}); what came before was used"
            ) from error

    def _silence_before(
        self, frame: Any, position: int, channels: int
    ) -> Iterator[NDArray[np.float32]]:
        if frame.time is None:
            return
        missing = round(frame.time * self.samplerate) - position
        if missing <= _LONGEST_GAP_S * self.samplerate:
            return
        size = round(_BLOCK_S * self.samplerate)
        for start in range(0, missing, size):
            yield np.zeros((min(size, missing - start), channels), np.float32)

    def close(self) -> None:
        self._container.close()


def _unreadable_error(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{path} is no audio that can be read here; convert it, for example with "
        f"`ffmpeg -i {path.name} -ar {SAMPLE_RATE} -ac 1 out.wav` ({why})"
    )


def _explain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
