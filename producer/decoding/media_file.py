"""Files that libsndfile cannot read (m4a, mp4, webm, mov, wma ...): their first track, by PyAV."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE, check_recording
from common.closeable import Closeable
from common.errors import BadInput
from producer.decoding.recording import BLOCK_S, Block, damage

_LONGEST_GAP_S: Final = 0.1
"""A longer gap is filled with silence, so that times stay those of the file."""

_MOST_PLANES: Final = 7
"""PyAV looks for the end of a frame's table of planes. The table has 8 places: with 8 channels or
more, PyAV reads beyond it, and the process dies. So more channels are converted to one plane."""

_SAFE_OPTIONS: Final = {"protocol_whitelist": ""}
"""A playlist must not have this host open or fetch what it names: only the file itself is read."""


class MediaFile(Closeable):
    """An open file's first audio track; `name` is for sentences, and its ending helps FFmpeg.

    Opening raises `BadInput` when PyAV is missing or finds no audio in the file; `blocks` raises
    it when the file turns out to be damaged further on.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        try:
            import av
        except ImportError:
            raise _unreadable_error(
                name, "pip install 'earshot[jobs]' reads many more formats"
            ) from None
        self._av: Any = av
        file = _NamedFile(descriptor, closefd=False)
        file.seek(0)
        file.name = name
        try:
            self._container: Any = av.open(file, options=_SAFE_OPTIONS, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError, OSError) as error:
            _raise_if_out_of_memory(error)
            raise _unreadable_error(name, _explain(error)) from None
        tracks = self._container.streams.audio
        if not tracks or not tracks[0].codec_context or not tracks[0].rate:
            self._container.close()
            raise _unreadable_error(name, "it holds no audio track")
        self._track = tracks[0]
        try:
            _forget_order_of_channels(self._track.codec_context, name)
        except BaseException:
            self._container.close()
            raise
        self._converted = ("", "", 0)
        self._resampler: Any = None

    @property
    def duration_s(self) -> float:
        """Length in seconds by the header; 0 if the header lacks it."""
        if self._container.duration is None:
            return 0.0
        return float(self._container.duration / self._av.time_base)

    def blocks(self) -> Iterator[Block]:
        """Yield the whole track, from the beginning of the file."""
        done_s = 0.0
        try:
            for frame in self._container.decode(self._track):
                if not frame.samples:
                    continue
                for block in self._blocks_of(frame, done_s):
                    done_s += len(block.samples) / block.rate
                    yield block
        except (self._av.error.FFmpegError, ValueError, OSError) as error:
            _raise_if_out_of_memory(error)
            raise damage(self._name, done_s, _explain(error)) from error

    def _blocks_of(self, frame: Any, done_s: float) -> Iterator[Block]:
        """Yield the silence that is missing before a frame, and its samples."""
        rate = frame.sample_rate
        converter = self._converter(frame)
        missing = 0 if frame.time is None else round((frame.time - done_s) * rate)
        if missing > _LONGEST_GAP_S * rate:
            size = round(BLOCK_S * rate)
            for start in range(0, missing, size):
                yield Block(rate, np.zeros((min(size, missing - start), 1), np.float32))
        for converted in converter.resample(frame):
            samples: NDArray[np.float32] = converted.to_ndarray()
            if converted.format.is_planar:
                yield Block(rate, samples.T)
            else:
                yield Block(rate, samples.reshape(converted.samples, -1))

    def _converter(self, frame: Any) -> Any:
        """Return what converts such frames to floats, one for all frames of one format."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._converted != form:
            channels = frame.layout.nb_channels
            check_recording(self._name, frame.sample_rate, channels)
            floats = "fltp" if channels <= _MOST_PLANES else "flt"
            self._converted = form
            self._resampler = self._av.AudioResampler(floats, frame.layout, frame.sample_rate)
        return self._resampler

    def close(self) -> None:
        self._container.close()


class _NamedFile(io.FileIO):
    """An open file with a name: FFmpeg guesses some formats by the ending of the name."""

    name: str


def _forget_order_of_channels(context: Any, name: str) -> None:
    """Let the decoder know how many channels there are, and no more: they are averaged.

    PyAV frees a table of channels twice, which ends the process, where a file has channels in an
    order of its own (`AudioLayout` copies the pointer to it). A mere number has no table.
    """
    channels = context.channels
    if channels:  # else only the decoder finds out
        check_recording(name, context.sample_rate, channels)
        context.layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")


def _unreadable_error(name: str, why: str) -> BadInput:
    return BadInput(
        f"{name} is no audio that can be read here; convert it, for example with "
        f"`ffmpeg -i {Path(name).name} -ar {SAMPLE_RATE} -ac 1 out.wav` ({why})"
    )


def _raise_if_out_of_memory(error: Exception) -> None:
    if isinstance(error, MemoryError):
        raise error


def _explain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
