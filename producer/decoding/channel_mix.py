"""Several channels to one, in which anybody who speaks is heard as in a mono recording.

A plain average loses what stands in opposite phase in two channels, makes a voice in one of six
six times as weak, and adds the noise of the others. So each channel has a weight. The rule, by
windows of WINDOW_S:

1. A channel's *floor* is its quietest window of the last 3 s (minimum statistics: R. Martin, "Noise
   power spectral density estimation based on optimal smoothing and minimum statistics", IEEE
   Transactions on Speech and Audio Processing 9(5), 2001). Its *peak* is its loudest window, which
   is forgotten over 10 s. Speech stands far out of its floor, and a steady noise does not.
2. Its weight grows with the distance r = peak / floor - 1 as r^2 / (r^2 + HALF^2). It is 1 for a
   channel with clear speech, and 0 for one that is silent, or holds a steady noise however loud.
   Where no channel stands out, all count alike: then the weights are a plain average.
3. A channel in opposite phase to the one that stands out most is turned over.

The weights of a window are those at the end of the LOOKAHEAD_S after it, so that a first word is
not lost. They change gradually, and add up to 1: nothing is louder than in the loudest channel.
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW_S: Final = 0.1
LOOKAHEAD_S: Final = 1.0

_MOST_VALUES: Final = 2**21
"""Samples of all channels that wait for their weights, at most: 8 MiB."""

_FLOOR_WINDOWS: Final = 30
_PEAK_DECAY: Final = float(np.exp(-WINDOW_S / 10))

HALF: Final = 100.0
"""The distance from the floor (20 dB) at which a channel has half of its weight. Clear speech
reaches 1,000 and more, a crowd in the distance less than 20, and white noise 0.3."""

_EVEN: Final = 1e-3
"""What every channel's weight is more than the rule says; the average where nothing stands out."""

_QUIETEST: Final = 1e-9
"""The lowest floor, a power of 1.0 for full scale: the last bit of 16 is a noise of about 1e-10."""

_CROSSTALK: Final = 1e-5
"""The lowest floor as a part of the loudest peak: what is 50 dB below it is of no account."""

_MEMORY: Final = 0.03
"""The part of a window in the correlation of channels, which remembers about 3 s."""

_OPPOSITE: Final = -0.5
"""The correlation below which two channels are in opposite phase."""


class ChannelMixer:
    """The mix of one stream with so many channels, at `rate` Hz; it is the same in any blocks."""

    def __init__(self, rate: int, channels: int) -> None:
        self._size = max(1, round(rate * WINDOW_S))
        wait = min(round(LOOKAHEAD_S / WINDOW_S), _MOST_VALUES // (self._size * channels))
        self._lookahead = wait
        self._rest: NDArray[np.float32] = np.empty((0, channels), np.float32)
        self._waiting: deque[NDArray[np.float32]] = deque()
        self._powers: deque[NDArray[np.float64]] = deque(maxlen=_FLOOR_WINDOWS)
        self._peaks = np.zeros(channels)
        self._covariance = np.zeros((channels, channels))
        self._weights = np.full(channels, 1 / channels)
        self._has_begun = False

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples of shape (n, channels); return those of one channel that are ready."""
        audio = np.concatenate((self._rest, block)) if len(self._rest) else block
        whole = len(audio) - len(audio) % self._size
        self._rest = audio[whole:].copy()
        mixed = []
        for start in range(0, whole, self._size):
            window = audio[start : start + self._size]
            self._observe(window)
            self._waiting.append(window)
            if len(self._waiting) > self._lookahead:
                mixed.append(self._mix(self._waiting.popleft()))
        return np.concatenate(mixed) if mixed else np.empty(0, np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Return what still waits; nothing may be pushed afterwards."""
        if len(self._rest):
            self._observe(self._rest)
            self._waiting.append(self._rest)
        mixed = [self._mix(window) for window in self._waiting]
        return np.concatenate(mixed) if mixed else np.empty(0, np.float32)

    def _observe(self, window: NDArray[np.float32]) -> None:
        sound = window - window.mean(axis=0)  # without the offset of a converter
        covariance = (sound.T @ sound).astype(np.float64) / len(window)
        power = covariance.diagonal()
        self._powers.append(power)
        self._peaks = np.maximum(self._peaks * _PEAK_DECAY, power)
        self._covariance += _MEMORY * (covariance - self._covariance)

    def _mix(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        before, self._weights = self._weights, self._choose_weights()
        if not self._has_begun:
            before, self._has_begun = self._weights, True
        if np.array_equal(before, self._weights):
            return np.asarray(window @ before.astype(np.float32), np.float32)
        share = np.linspace(0, 1, len(window), dtype=np.float32)[:, None]
        weights = before.astype(np.float32) * (1 - share) + self._weights.astype(np.float32) * share
        mixed: NDArray[np.float32] = np.einsum("ij,ij->i", window, weights)
        return mixed

    def _choose_weights(self) -> NDArray[np.float64]:
        lowest = max(_QUIETEST, _CROSSTALK * float(self._peaks.max()))
        floors = np.maximum(np.min(self._powers, axis=0), lowest)
        distance = np.maximum(self._peaks / floors - 1, 0)
        weights: NDArray[np.float64] = distance**2 / (distance**2 + HALF**2) + _EVEN
        reference = int(np.argmax(weights))
        signs: NDArray[np.float64] = np.where(self._correlation(reference) < _OPPOSITE, -1.0, 1.0)
        weights *= signs / weights.sum()
        # another reference may be in the phase of the others
        is_turned = self._has_begun and float(weights @ self._weights) < 0
        return np.asarray(-weights if is_turned else weights, np.float64)

    def _correlation(self, reference: int) -> NDArray[np.float64]:
        powers = self._covariance.diagonal()
        scale = np.sqrt(powers * powers[reference])
        correlation: NDArray[np.float64] = np.zeros_like(scale)
        np.divide(self._covariance[reference], scale, out=correlation, where=scale > 0)
        return correlation
