"""The times that a file states, as places in its recording, which begins at 0."""

from typing import Final

_LONGEST_GAP_S: Final = 0.1
"""A longer gap is filled with silence, so that times stay those of the file."""

_NEW_CLOCK_S: Final = 10.0
"""A longer jump is no gap in a format whose clock may start anew (the rule of the program ffmpeg:
its option -dts_delta_threshold)."""

_BACK_S: Final = 1.0
"""A clock that goes back by more has started anew; by less, it is only inexact."""


class Timeline:
    """The gaps of one track. All times are in s.

    `origin` is the time of the file's beginning: a recorder may count from midnight. `end` is where
    the file ends by its header, 0 if the header lacks it: nothing lies beyond. `may_restart`: the
    format's clock may jump, as that of MPEG-TS and of joined files does.
    """

    def __init__(self, origin: float, end: float, *, may_restart: bool) -> None:
        self._shift = origin
        self._end = end
        self._may_restart = may_restart

    def missing(self, time: float, done: float) -> float:
        """Return how much silence is missing before what begins at `time`, after `done`."""
        ahead = time - self._shift - done
        is_gap = ahead > _LONGEST_GAP_S
        if is_gap and not self._is_new_clock(ahead, done):
            return ahead
        if is_gap or ahead < -_BACK_S:
            self._shift += ahead
        return 0.0

    def _is_new_clock(self, ahead: float, done: float) -> bool:
        if self._end:
            return done + ahead > self._end + _BACK_S
        return self._may_restart and ahead > _NEW_CLOCK_S
