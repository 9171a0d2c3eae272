"""Mute: everything behind the source gets silence for what is recorded meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import TracebackType
from typing import Final, Protocol, Self, runtime_checkable

import numpy as np
import structlog
from numpy.typing import NDArray

from producer.sources.level import QUIETEST_DBFS, rms_dbfs
from producer.sources.mute_timeline import MuteTimeline
from producer.sources.source import Source
from producer.telemetry.metrics import MUTED

log = structlog.get_logger(__name__)


_REMEMBERED: Final = 64
"""Switches that are remembered: more than a person makes while audio is on its way."""


class Mute:
    """A switch that any thread may turn; each change is logged.

    It remembers when it was turned, since audio arrives, and is read, later than it was recorded.
    """

    def __init__(self, is_on: bool = False, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._is_on = is_on
        self._state: tuple[bool, tuple[float, ...]] = is_on, ()
        self._watchers: list[Callable[[bool], None]] = []
        MUTED.set(is_on)

    @property
    def is_on(self) -> bool:
        return self._is_on

    def is_muted_at(self, recorded_at: float) -> bool:
        """Return whether it was on at a moment (monotonic, s)."""
        is_on, switches = self._state
        later = sum(moment > recorded_at for moment in switches)
        return is_on is not bool(later % 2)

    def muted_spans(self, begin: float, end: float) -> list[tuple[float, float]]:
        """Return when it was on between two moments (monotonic, s)."""
        _, switches = self._state
        edges = [begin, *(moment for moment in switches if begin < moment < end), end]
        return [(since, until) for since, until in pairwise(edges) if self.is_muted_at(since)]

    def toggle(self, at: float | None = None) -> None:
        """Mute or unmute, from now on or from a moment that was a little earlier (monotonic, s)."""
        with self._lock:
            switches = (*self._state[1], self._clock() if at is None else at)[-_REMEMBERED:]
            is_on = self._is_on = not self._is_on
            self._state = is_on, switches  # both at once, for those who read without the lock
            for watch in self._watchers:
                watch(is_on)
        MUTED.set(is_on)
        log.info("muted" if is_on else "unmuted")

    def watch(self, watch: Callable[[bool], None]) -> bool:
        """Call a function at each switch, with the new state; return the present one."""
        with self._lock:
            self._watchers.append(watch)
            return self._is_on


@runtime_checkable
class SelfMutingSource(Protocol):
    """A source that knows when each sample was recorded, and silences it itself."""

    @property
    def is_muted(self) -> bool:
        """Whether the mute was on when the end of the latest frame was recorded."""


@runtime_checkable
class PositionedSource(Protocol):
    """A source that knows how much of its audio has been recorded."""

    def position_now(self) -> int:
        """Return how many samples were recorded so far, whether they were read or not.

        Any thread may ask.
        """


class MutableSource:
    """A source that can be muted, and that shows its level.

    What is recorded while the mute is on becomes zeros before anything else gets it: no detector,
    no pre-roll and no utterance holds any of its sound. What was recorded before is heard, however
    late it is read.
    """

    def __init__(self, source: Source, mute: Mute) -> None:
        self._source = source
        self._has_begun = False
        self._timeline = MuteTimeline()
        self._timeline.is_on = mute.watch(self._switch)
        self.level_dbfs = QUIETEST_DBFS
        """Root mean square of the latest frame."""

    def _switch(self, is_on: bool) -> None:
        position = self._timeline.position
        if self._has_begun and isinstance(self._source, PositionedSource):
            position = max(position, self._source.position_now())
        self._timeline.switch(position, is_on)

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def is_live(self) -> bool:
        return self._source.is_live

    @property
    def is_muted(self) -> bool:
        """Whether the mute was on when the end of the latest frame was recorded."""
        if isinstance(self._source, SelfMutingSource):
            return self._source.is_muted
        return self._timeline.is_on

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
        self._has_begun = True
        is_silenced = isinstance(self._source, SelfMutingSource)
        for frame in self._source:
            heard = frame if is_silenced else self._timeline.silence(frame)
            self.level_dbfs = rms_dbfs(heard)
            yield heard

    def close(self) -> None:
        self._source.close()
