"""Mute: everything behind the source gets silence meanwhile."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import numpy as np
import structlog
from numpy.typing import NDArray

from producer.sources.level import QUIETEST_DBFS, rms_dbfs
from producer.sources.source import Source
from producer.telemetry.metrics import MUTED

log = structlog.get_logger(__name__)


class Mute:
    """A switch that any thread may turn; each change is logged."""

    def __init__(self, is_on: bool = False, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._off_since = -math.inf
        self._lock = threading.Lock()
        self._is_on = is_on
        MUTED.set(is_on)

    @property
    def is_on(self) -> bool:
        return self._is_on

    def is_muted_at(self, recorded_at: float) -> bool:
        """Return whether audio that was recorded at that moment (monotonic, s) must be silent.

        Such audio may arrive late, when the mute is off again.
        """
        return self._is_on or recorded_at < self._off_since

    def toggle(self) -> None:
        """Mute or unmute."""
        with self._lock:
            if self._is_on:
                self._off_since = self._clock()
            self._is_on = not self._is_on
            is_on = self._is_on
        MUTED.set(is_on)
        log.info("muted" if is_on else "unmuted")


class MutableSource:
    """A source that can be muted, and that shows its level.

    Muted frames become zeros before anything else gets them: no detector, no pre-roll and no
    utterance holds any of their sound. Speech from before is sent as always.
    """

    def __init__(self, source: Source, mute: Mute) -> None:
        self._source = source
        self._mute = mute
        self._silence: NDArray[np.int16] = np.zeros(source.frame_samples, np.int16)
        self.level_dbfs = QUIETEST_DBFS
        """Root mean square of the latest frame."""

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def is_live(self) -> bool:
        return self._source.is_live

    @property
    def is_muted(self) -> bool:
        return self._mute.is_on

    @property
    def frame_samples(self) -> int:
        return self._source.frame_samples

    @property
    def samples(self) -> int:
        return self._source.samples

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._source.__exit__(kind, error, traceback)

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        for frame in self._source:
            heard = self._silence if self._mute.is_on else frame
            self.level_dbfs = rms_dbfs(heard)
            yield heard

    def close(self) -> None:
        self._source.close()
