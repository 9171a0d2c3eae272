"""What a reader of a file format delivers, as 16 kHz mono."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from producer.decoding.channel_mix import ChannelMixer
from producer.decoding.recording import BLOCK_S, Block, Recording
from producer.decoding.resample import Resampler


class Conversion:
    """The conversion of one recording; `channel` counts from 1, and 0 mixes all of them."""

    def __init__(self, name: str, channel: int) -> None:
        self._name = name
        self._channel = channel
        self._rate = SAMPLE_RATE
        self._resampler = Resampler(SAMPLE_RATE)
        self._mixer: ChannelMixer | None = None
        self.channels = 0
        """How many channels the recording begins with; known with the first samples."""

    def convert(self, recording: Recording) -> Iterator[NDArray[np.int16]]:
        """Yield pieces of at least one sample.

        Raises `BadInput` if there is no such channel, and where the recording is damaged.
        """
        channels = 0
        try:
            for block in _join(recording.blocks()):
                if block.samples.shape[1] != channels or block.rate != self._rate:
                    yield from self._finish()
                    channels = block.samples.shape[1]
                    self._begin(block.rate, channels)
                yield from _some(self._resampler.push(self._to_mono(block.samples)[:, None]))
        except BadInput:
            yield from self._finish()
            raise
        yield from self._finish()

    def _begin(self, rate: int, channels: int) -> None:
        if not self.channels:
            self.channels = channels
            if self._channel > channels:
                raise BadInput(
                    f"{self._name} has no channel {self._channel}: it has"
                    f" {channels} channel{'s' if channels > 1 else ''}"
                )
        self._rate, self._resampler = rate, Resampler(rate)
        is_mixed = channels > 1 and not self._channel
        self._mixer = ChannelMixer(rate, channels) if is_mixed else None

    def _to_mono(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        # a float WAV may hold an infinity: it counts as full scale
        samples = np.nan_to_num(samples, posinf=1.0, neginf=-1.0)
        if self._mixer is not None:
            return self._mixer.push(samples)
        place = max(self._channel - 1, 0)
        if place < samples.shape[1]:
            return samples[:, place]
        return np.zeros(len(samples), np.float32)  # a later part of it has fewer channels

    def _finish(self) -> Iterator[NDArray[np.int16]]:
        if self._mixer is not None:
            yield from _some(self._resampler.push(self._mixer.finish()[:, None]))
        yield from _some(self._resampler.finish())
        self._mixer, self._resampler = None, Resampler(SAMPLE_RATE)


def _join(blocks: Iterator[Block]) -> Iterator[Block]:
    """Join the blocks of BLOCK_S: codecs have frames of 20 ms, and each call costs as much."""
    held: list[Block] = []
    count = 0
    try:
        for block in blocks:
            if held and (count >= held[0].rate * BLOCK_S or not _is_alike(held[0], block)):
                yield _concatenate(held)
                held, count = [], 0
            held.append(block)
            count += len(block.samples)
    except BadInput:
        if held:
            yield _concatenate(held)
        raise
    if held:
        yield _concatenate(held)


def _is_alike(first: Block, second: Block) -> bool:
    return first.rate == second.rate and first.samples.shape[1] == second.samples.shape[1]


def _concatenate(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return Block(blocks[0].rate, np.concatenate([block.samples for block in blocks]))


def _some(samples: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    if len(samples):
        yield samples
