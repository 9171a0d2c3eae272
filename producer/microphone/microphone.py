"""The microphone as a source of 16 kHz mono frames."""

import time
from collections.abc import Iterator
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from common.audio import FULL_SCALE, SAMPLE_RATE
from producer.decoding.resample import Resampler
from producer.microphone.capture import Block, Capture, Format
from producer.microphone.level_watch import SILENT_PEAK, LevelWatch
from producer.sources.mute import Mute
from producer.sources.mute_timeline import MuteTimeline
from producer.sources.source import DEFAULT_FRAME_MS, FramedSource

_POLL_S: Final = 0.1
"""How often a reader that waits for audio checks whether the device is away."""

_LONGEST_GAP_S: Final = 10.0
"""The most silence that is made at once for a device that is away."""

_CLOSE_S: Final = 3.0
"""How long leaving the context waits for the device to be closed."""


class Microphone(FramedSource):
    """An input device by its index or a part of its name; the default one for None or "".

    Entering opens it and raises `NoMicrophone` when there is no such device, or PyAudio is missing.
    After that `capture.py` opens a device that fails again, with backoff. Meanwhile the source
    delivers silence, so that an open utterance ends and sample time keeps up with the wall clock.
    Audio that is recorded while `mute` is on becomes silence as well. `channel` counts from 1; 0
    hears all channels that the device delivers.
    """

    is_live = True

    def __init__(
        self,
        device: int | str | None = None,
        frame_ms: int = DEFAULT_FRAME_MS,
        *,
        mute: Mute | None = None,
        channel: int = 0,
    ) -> None:
        super().__init__(frame_ms)
        self.name = "default" if device is None or device == "" else str(device)
        self._channel = channel
        self._capture = Capture(device, mute or Mute(), channel=channel)
        self._timeline = MuteTimeline()
        self._recorded = 0.0
        """Samples of 16 kHz that the blocks so far make; the resampler still holds some of them."""
        self._watch = LevelWatch()
        self._resampler: Resampler | None = None
        self._format: Format | None = None
        self._sounding: NDArray[np.bool_] = np.zeros(1, bool)
        """The channels that have been more than digital silence in this stream."""

    @property
    def is_muted(self) -> bool:
        """Whether the mute was on when the end of the latest frame was recorded."""
        return self._timeline.is_on

    @property
    def is_away(self) -> bool:
        """Whether the device has failed and is being opened again."""
        return self._capture.is_away

    def __enter__(self) -> Self:
        self.name = self._capture.start().name
        return self

    def release(self) -> None:
        """Wait until the device is closed, which may take some time."""
        self._capture.join(_CLOSE_S)

    def close(self) -> None:
        """Stop recording; the iteration ends after the audio from before."""
        self._capture.stop()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        for frame in self._frames():
            yield self._timeline.silence(frame)

    def _frames(self) -> Iterator[NDArray[np.int16]]:
        heard_until = time.monotonic()
        while True:
            block = self._capture.take(_POLL_S)
            if block is not None:
                heard_until = time.monotonic()
                yield from self._framer.push(self._convert(block))
            elif self._capture.is_stopping:
                break
            elif self._capture.is_away:
                gap_s = min(time.monotonic() - heard_until, _LONGEST_GAP_S)
                heard_until = time.monotonic()
                yield from self._framer.push(self._drain())
                gap = np.zeros(int(gap_s * SAMPLE_RATE), np.int16)
                self._recorded += len(gap)
                yield from self._framer.push(gap)
        yield from self._framer.push(self._drain())
        yield from self._framer.finish()

    def _convert(self, block: Block) -> NDArray[np.int16]:
        before = self._drain() if block.format is not self._format else np.empty(0, np.int16)
        if self._resampler is None:
            self._resampler, self._format = Resampler(block.format.rate), block.format
            self._sounding = np.zeros(block.format.channels, bool)
        samples = np.frombuffer(block.data, np.int16).reshape(-1, block.format.channels)
        scale = SAMPLE_RATE / block.format.rate
        for first, end in block.muted:
            self._timeline.switch(round(self._recorded + first * scale), True)
            self._timeline.switch(round(self._recorded + end * scale), False)
        self._recorded += len(samples) * scale
        if not block.muted:
            self._watch.push(samples, block.format.rate)
        samples = self._choose_channels(samples)
        audio = self._resampler.push(samples.astype(np.float32) / np.float32(FULL_SCALE))
        return np.concatenate((before, audio)) if len(before) else audio

    def _choose_channels(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if self._channel:
            return samples[:, self._channel - 1 : self._channel]
        # averaging with a silent channel would halve the level of the other
        self._sounding |= np.abs(samples.astype(np.int32)).max(axis=0, initial=0) > SILENT_PEAK
        return samples[:, self._sounding] if self._sounding.any() else samples

    def _drain(self) -> NDArray[np.int16]:
        """Return what the resampler still holds of the stream that ended."""
        if self._resampler is None:
            return np.empty(0, np.int16)
        rest, self._resampler = self._resampler.finish(), None
        return rest
