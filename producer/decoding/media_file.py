"""Files that FFmpeg reads best (mp3, ogg, m4a, mp4, webm, mov, wma ...): one track of audio."""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE, check_recording
from common.closeable import Closeable
from producer.decoding.recording import BLOCK_S, CUT_SHORT_S, Block, Damage, UnknownFormat
from producer.decoding.timeline import Timeline

_MOST_PLANES: Final = 7
"""PyAV looks for the end of a frame's table of planes. The table has 8 places: with 8 channels or
more, PyAV reads beyond it, and the process dies. So more channels are converted to one plane."""

_SAFE_OPTIONS: Final = {"protocol_whitelist": ""}
"""A playlist must not have this host open or fetch what it names: only the file itself is read."""

_MOST_FAILURES: Final = 100
"""Reads in a row that may fail: what is damaged goes on soon, or not at all."""

_TRIED_PACKETS: Final = 200
"""A track of which nothing could be decoded so far is not the one that is heard: 4 s of most."""

_STATES_LENGTH: Final = {
    *("mov", "matroska", "asf", "avi", "flv", "flac", "wav", "w64", "aiff", "au", "caf"),
    *("mp3", "tta", "ape", "wv", "mpc", "mpc8", "rm", "nut"),
}
"""FFmpeg's names of the formats whose headers state a length. In others, it is FFmpeg's guess."""


_LONGEST_VORBIS_BLOCK: Final = 8_192
"""Samples (the specification of Vorbis I, section 4.2.2)."""

_WITHOUT_GAPS: Final = {"ogg", "flac"}
"""In these formats FFmpeg leaves out what is damaged, and says so only in its log."""

_EXACT_S: Final = 0.01
"""A FLAC states its length to the sample."""

_TELLS_IN_LOG: Final = {"matroska,webm"}
"""In these, an error in FFmpeg's log is a damage. In others, it may be something harmless."""


class MediaFile(Closeable):
    """The first audio track of an open file that can be decoded; `name` is for sentences.

    `file` is read from its beginning; its own name helps FFmpeg. Opening raises `UnknownFormat`
    when PyAV is missing or finds no audio in the file; `blocks` raises `BadInput` at the end if the
    file turned out to be damaged. `states_length`: the header states a length, if its format has a
    place for it.
    """

    def __init__(self, name: str, file: io.RawIOBase, *, states_length: bool = True) -> None:
        self._name = name
        self._damage = Damage(name)
        self._states_length = states_length
        try:
            import av
        except ImportError:
            raise _unreadable_error(
                name, "pip install 'earshot[jobs]' reads many more formats"
            ) from None
        self._av: Any = av
        av.logging.set_level(av.logging.ERROR)
        self._errors: Any = (av.error.FFmpegError, ValueError, OSError)
        self._file = file
        self._container: Any = self._open()
        try:
            self._track = self._choose_track()
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
        return self._without_origin(float(self._container.duration / self._av.time_base))

    def _without_origin(self, seconds: float) -> float:
        """Return a length in the header, which counts from 0 or from the first sample."""
        return seconds - self._origin_s if seconds > self._origin_s > CUT_SHORT_S else seconds

    @property
    def _origin_s(self) -> float:
        """Where the clock of the file begins."""
        start = self._container.start_time
        return 0.0 if start is None else float(start / self._av.time_base)

    def blocks(self) -> Iterator[Block]:
        """Yield the whole track, from the beginning of the file, and what comes after damages."""
        done_s = 0.0
        timeline = self._timeline()
        damage = self._damage
        end_s = self._padded_after()
        for frame in self._frames(damage):
            if not frame.samples:
                continue
            for block in self._blocks_of(frame, timeline, done_s):
                block = _without_padding(block, done_s, end_s)
                done_s += len(block.samples) / block.rate
                yield block
            damage.reach(done_s)
        is_exact = self._container.format.name == "flac"
        damage.finish(self._stated_length(), _EXACT_S if is_exact else CUT_SHORT_S)

    def _open(self) -> Any:
        if self._file.seekable():
            self._file.seek(0)
        try:
            return self._av.open(self._file, options=_SAFE_OPTIONS, metadata_errors="replace")
        except self._errors as error:
            _raise_if_out_of_memory(error)
            raise _unreadable_error(self._name, _explain(error)) from None

    def _choose_track(self) -> Any:
        """Return the first track that can be decoded; raises `BadInput` if the file has none."""
        places = [
            place
            for place, track in enumerate(self._container.streams.audio)
            if track.codec_context and track.rate
        ]
        if not places:
            raise _unreadable_error(self._name, "it holds no audio track that can be decoded")
        if len(places) > 1 and self._file.seekable():
            chosen = next(filter(self._can_decode, places), places[0])
            self._reopen()
        else:
            chosen = places[0]
        track = self._container.streams.audio[chosen]
        _forget_order_of_channels(track.codec_context, self._name)
        return track

    def _can_decode(self, place: int) -> bool:
        self._reopen()
        self._track = self._container.streams.audio[place]
        _forget_order_of_channels(self._track.codec_context, self._name)
        frames = self._frames(Damage(self._name), most=_TRIED_PACKETS)
        return any(frame.samples for frame in frames)

    def _reopen(self) -> None:
        self._container.close()
        self._container = self._open()

    def _frames(self, damage: Damage, *, most: int | None = None) -> Iterator[Any]:
        """Yield the frames of the track, of its first `most` packets; note what is damaged."""
        for packet in islice(self._packets(damage), most):
            if packet.is_corrupt:
                damage.note("a part of it is missing")
            yield from self._decode(packet, damage)
        yield from self._decode(None, damage)

    def _packets(self, damage: Damage) -> Iterator[Any]:
        failures = 0
        while failures < _MOST_FAILURES:
            try:
                with self._av.logging.Capture(local=True) as log:
                    for packet in self._container.demux(self._track):
                        failures = 0
                        self._read_log(log, damage)
                        if packet.size:
                            yield packet
                    self._read_log(log, damage)
                return
            except self._errors as error:
                _raise_if_out_of_memory(error)
                damage.note(_explain(error))
                failures += 1

    def _read_log(self, log: list[tuple[int, str, str]], damage: Damage) -> None:
        for level, component, message in log:
            if component in _TELLS_IN_LOG and level <= self._av.logging.ERROR:
                damage.note(message.strip())
        log.clear()

    def _decode(self, packet: Any, damage: Damage) -> list[Any]:
        try:
            return list(self._track.codec_context.decode(packet))
        except self._av.error.EOFError:
            return []  # it was at its end before
        except self._errors as error:
            _raise_if_out_of_memory(error)
            if not _is_tag(packet):
                damage.note(_explain(error))
            return []

    def _padded_after(self) -> float:
        """Return where a track of Vorbis ends (s), and 0 for others.

        Its last block may be longer, and FFmpeg keeps that.
        """
        track = self._track
        if track.codec_context.name != "vorbis" or not track.duration:
            return 0.0
        return float(track.duration * track.time_base)

    def _timeline(self) -> Timeline | None:
        """Return the times of the track; None if the format has none, and FFmpeg counts frames."""
        form = self._container.format
        may_restart = bool(form.flags & self._av.format.Flags.ts_discont.value)
        counts = bool(form.flags & self._av.format.Flags.generic_index.value)
        if counts and not may_restart and form.name != "flac":
            return None
        end = 0.0 if may_restart or not self._knows_length() else self.duration_s
        return Timeline(self._origin_s, end, may_restart=may_restart)

    def _knows_length(self) -> bool:
        return self._states_length and not _STATES_LENGTH.isdisjoint(
            self._container.format.name.split(",")
        )

    def _stated_length(self) -> float:
        """Return how long the track is by the header (s); 0 if the header lacks it."""
        if not self._knows_length():
            return 0.0
        track = self._track
        if track.duration is not None and track.time_base is not None:
            return self._without_origin(float(track.duration * track.time_base))
        # else it is the length of the longest track
        return self.duration_s if len(self._container.streams) == 1 else 0.0

    def _blocks_of(self, frame: Any, timeline: Timeline | None, done_s: float) -> Iterator[Block]:
        """Yield the silence that is missing before a frame, and its samples."""
        rate = frame.sample_rate
        converter = self._converter(frame)
        if timeline is not None and frame.time is not None:
            missing = round(timeline.missing(frame.time, done_s) * rate)
            if missing and done_s and self._container.format.name in _WITHOUT_GAPS:
                self._damage.note("a part of it is missing")
            size = round(BLOCK_S * rate)
            for start in range(0, missing, size):
                shape = min(size, missing - start), frame.layout.nb_channels
                yield Block(rate, np.zeros(shape, np.float32))
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


def _without_padding(block: Block, done_s: float, end_s: float) -> Block:
    """Return a block without what a last block of Vorbis holds beyond the end of the track."""
    beyond = round((done_s - end_s) * block.rate) + len(block.samples)
    if not end_s or not 0 < beyond <= _LONGEST_VORBIS_BLOCK:
        return block
    return Block(block.rate, block.samples[: max(0, len(block.samples) - beyond)])


def _forget_order_of_channels(context: Any, name: str) -> None:
    """Let the decoder know how many channels there are, and no more: their places do not matter.

    PyAV frees a table of channels twice, which ends the process, where a file has channels in an
    order of its own (`AudioLayout` copies the pointer to it). A mere number has no table.
    """
    channels = context.channels
    if channels:  # else only the decoder finds out
        check_recording(name, context.sample_rate, channels)
        context.layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    if context.name == "flac":
        context.options = {"err_detect": "crccheck+explode"}  # else a damaged frame is noise


def _is_tag(packet: Any) -> bool:
    """Return whether a packet of an MP3 is a tag: a file that was joined of several has them."""
    return packet is not None and bytes(packet)[:3] in {b"ID3", b"TAG", b"APE", b"LYR"}


def _unreadable_error(name: str, why: str) -> UnknownFormat:
    return UnknownFormat(
        f"{name} is no audio that can be read here; convert it, for example with "
        f"`ffmpeg -i {Path(name).name} -ar {SAMPLE_RATE} -ac 1 out.wav` ({why})"
    )


def _raise_if_out_of_memory(error: Exception) -> None:
    if isinstance(error, MemoryError):
        raise error


def _explain(error: Exception) -> str:
    said = str(getattr(error, "strerror", None) or error).rstrip(".")
    return "what is there cannot be decoded" if said.startswith("Error number") else said
