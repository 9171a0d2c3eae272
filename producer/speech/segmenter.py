"""Cuts a stream of frames into speech segments: a pure state machine that counts samples.

    idle --speech--> open --silence--> idle    (SpeechSegment, or Skipped if too short or doubtful)
                      |  ^
                      +--+ longer than max_utterance_s (SpeechSegment, continued)

Speech is `start_speech_s` of voiced frames within `start_window_s`. Fewer voiced frames are a
click: it neither opens an utterance nor continues one. A silence lasts until the first voiced frame
of the speech after it. So an utterance stays open while that window may still become speech that
began in time. An utterance holds its pre-roll, everything from its first to its last voiced frame,
and a tail of the silence after it. No sample is in two segments. Positions count samples since the
stream began.

A segment is doubtful unless the detector was sure of `start_speech_s` of it, and of a tenth of its
voiced time or of 0.9 s, wherever these frames are. A segment that is not doubtful at a pause stays
so: a draft, or the first part of a long utterance, is never taken back.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from producer.speech.cut_point import find_cut_point
from producer.speech.endpointing import Endpointing

_TAIL_SLACK_S: Final = 0.05
"""A draft may lack this much of the tail: nobody hears it, and waiting for it costs 50 ms."""

_SURE_SHARE: Final = 0.1
"""The detector must be sure of this share of what is voiced. It is sure of most of a sentence. Of a
crowd that talks on and on it is sure only when one of the voices stands out (docs/hearing.md)."""

_SURE_ENOUGH_S: Final = 0.9
"""If the detector is sure of this much, that is enough: a person in a crowd shares a segment with
it."""

_DECIDING_PAUSE_S: Final = 0.25
"""A segment that is not doubtful after this much silence stays so."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The beginning of speech; a `SpeechSegment` or a `Skipped` follows."""

    at: int
    """Position of the first voiced frame, in samples."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeechSegment:
    """A part of the stream to ship: `samples` is exactly stream[start : start + len(samples)]."""

    samples: NDArray[np.int16]
    start: int
    """Position of its first sample, in samples."""
    end_of_speech: int
    """Position right after its last voiced frame, in samples."""
    speech_samples: int
    """Voiced time inside it, in samples."""
    continued: bool
    """Cut at the maximum length: the next segment continues where this one ends."""
    continues: bool
    """The segment before was cut at the maximum length; this one continues there."""


@dataclass(frozen=True, slots=True, eq=False)
class Paused:
    """A silence that is not long enough yet; if it goes on, the open utterance ends."""

    segment: SpeechSegment
    """The audio so far, as if the utterance had ended; the final segment has the same `start`."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech after a `Paused`, whose segment is therefore incomplete."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A segment that is no utterance: too little voiced time, or doubtful. Its audio is dropped."""

    speech_s: float
    minimum_s: float
    start: int
    """Position of its first voiced frame, in samples."""
    end_of_speech: int
    """Position right after its last voiced frame, in samples."""
    is_doubtful: bool
    """Whether the detector was sure of too little of it, however long it is."""


SegmentEvent = SpeechStarted | Paused | Resumed | SpeechSegment | Skipped


class Segmenter:
    """The cutter of one stream: feed it every frame in order, then `finish()`.

    It keeps references to the frames, so nobody may write to them afterwards. Memory: the
    pre-roll while idle, at most `max_utterance_s + silence_s + start_window_s` while an utterance
    is open.
    """

    def __init__(self, endpointing: Endpointing, frame_samples: int) -> None:
        def frames(seconds: float) -> int:
            # a rounding error must not add a frame to a duration of whole frames
            return math.ceil(seconds * SAMPLE_RATE / frame_samples - 1e-6)

        self._endpointing = endpointing
        self._size = frame_samples
        self._silence = frames(endpointing.silence_s)
        self._pre_roll = frames(endpointing.pre_roll_s)
        self._tail = min(frames(endpointing.tail_s), self._silence)
        self._max = max(int(endpointing.max_utterance_s * SAMPLE_RATE / frame_samples), 2)
        self._cut_window = min(frames(endpointing.cut_window_s), self._max // 2)
        self._start_speech = frames(endpointing.start_speech_s)
        self._start_window = frames(endpointing.start_window_s)
        self._sure_enough = max(self._start_speech, frames(_SURE_ENOUGH_S))
        self._deciding_pause = frames(_DECIDING_PAUSE_S)
        first = endpointing.eager_pause_s
        lengths = [] if first is None else range(endpointing.eager_max)
        # a draft may be all that is sent of the utterance, so it needs the tail
        shortest = frames(max(0.0, min(endpointing.tail_s, endpointing.silence_s) - _TAIL_SLACK_S))
        pauses = [
            max(frames((first or 0) * endpointing.eager_growth**n), shortest) for n in lengths
        ]
        self._eager_pauses = [pause for pause in pauses if pause < self._silence]

        self._position = 0  # frames pushed
        self._shipped = 0  # the frames before this one are in a segment already
        self._recent: deque[bool] = deque(maxlen=self._start_window)
        self._recently_sure: deque[bool] = deque(maxlen=self._start_window)
        self._heard: deque[NDArray[np.int16]] = deque(maxlen=self._pre_roll + self._start_window)
        self._open: _Open | None = None

    def push(self, frame: NDArray[np.int16], is_speech: bool, is_sure: bool) -> list[SegmentEvent]:
        """Take the next frame (`frame_samples` int16) with its verdict; return its events in order.

        Raises `ValueError` for a frame of another size.
        """
        if len(frame) != self._size:
            raise ValueError(f"a frame of {self._size} samples expected, got {len(frame)}")
        self._position += 1
        self._heard.append(frame)
        self._recent.append(is_speech)
        self._recently_sure.append(is_speech and is_sure)
        speech = is_speech and sum(self._recent) >= self._start_speech
        if self._open is None:
            return [self._begin()] if speech else []
        self._open.add(frame, is_speech, self._recently_sure[-1])
        return self._continue_speech(self._open) if speech else self._continue_silence(self._open)

    def finish(self) -> list[SegmentEvent]:
        """End the stream: an open segment is returned or skipped, as after a silence."""
        return [] if self._open is None else [self._close(self._open)]

    def _begin(self) -> SpeechStarted:
        window = list(self._recent)
        onset = self._position - len(window) + window.index(True)
        first = max(onset - self._pre_roll, self._shipped, self._position - len(self._heard))
        kept = self._position - first
        voiced = [False] * (kept - len(window)) + window[-kept:]
        self._open = _Open(
            first,
            onset,
            list(self._heard)[-kept:],
            voiced,
            self._position,
            sure=sum(self._recently_sure),
        )
        return SpeechStarted(onset * self._size)

    def _continue_speech(self, open_: "_Open") -> list[SegmentEvent]:
        events: list[SegmentEvent] = []
        open_.end_of_speech = self._position
        if open_.paused:
            open_.paused = False
            events.append(Resumed())
        while open_.end_of_speech - open_.first > self._max:
            if not self._is_sure(open_):
                return [*events, self._close(open_)]
            events.append(self._cut(open_))
        return events

    def _continue_silence(self, open_: "_Open") -> list[SegmentEvent]:
        silence = self._position - open_.end_of_speech
        if silence - self._frames_undecided() >= self._silence:
            return [self._close(open_)]
        if silence == self._deciding_pause:
            open_.believed = self._is_sure(open_)
        rest = self._eager_pauses[open_.pauses :]
        if rest and silence == rest[0] and not open_.paused and self._is_utterance(open_):
            open_.paused = open_.believed = True
            open_.pauses += 1
            return [Paused(self._segment(open_, self._length(open_)))]
        return []

    def _frames_undecided(self) -> int:
        """Return how many frames ago something began that may become speech; 0: nothing did."""
        recent = list(self._recent)
        return len(recent) - recent.index(True) if True in recent else 0

    def _close(self, open_: "_Open") -> SpeechSegment | Skipped:
        self._open = None
        if not self._is_utterance(open_):
            return Skipped(
                speech_s=self._voiced(open_, len(open_.frames)) / SAMPLE_RATE,
                minimum_s=self._endpointing.min_speech_s,
                start=open_.onset * self._size,
                end_of_speech=open_.end_of_speech * self._size,
                is_doubtful=not self._is_sure(open_),
            )
        length = self._length(open_)
        self._shipped = open_.first + length
        return self._segment(open_, length)

    def _cut(self, open_: "_Open") -> SpeechSegment:
        earliest = self._max - self._cut_window
        at = earliest + find_cut_point(open_.frames[earliest : self._max])
        part = self._segment(open_, at, continued=True)
        open_.believed = True
        open_.drop(at)
        return part

    def _length(self, open_: "_Open") -> int:
        with_tail = open_.end_of_speech - open_.first + self._tail
        return min(with_tail, len(open_.frames), self._max)

    def _voiced(self, open_: "_Open", length: int) -> int:
        end = min(length, open_.end_of_speech - open_.first)
        return sum(open_.voiced[open_.onset - open_.first : end]) * self._size

    def _is_utterance(self, open_: "_Open") -> bool:
        minimum = self._endpointing.min_speech_s * SAMPLE_RATE
        enough = open_.continues or self._voiced(open_, len(open_.frames)) >= minimum
        return self._is_sure(open_) and enough

    def _is_sure(self, open_: "_Open") -> bool:
        needed = min(_SURE_SHARE * sum(open_.voiced), self._sure_enough)
        return open_.believed or open_.sure >= max(needed, self._start_speech)

    def _segment(self, open_: "_Open", length: int, *, continued: bool = False) -> SpeechSegment:
        voiced = open_.voiced[:length]
        last = length - voiced[::-1].index(True) if continued and True in voiced else length
        end = min(open_.end_of_speech, open_.first + last)
        return SpeechSegment(
            samples=np.concatenate(open_.frames[:length]),
            start=open_.first * self._size,
            end_of_speech=end * self._size,
            speech_samples=self._voiced(open_, length),
            continued=continued,
            continues=open_.continues,
        )


@dataclass(slots=True)
class _Open:
    """The utterance in the making; all positions in frames."""

    first: int
    onset: int
    frames: list[NDArray[np.int16]]
    voiced: list[bool]
    end_of_speech: int
    sure: int
    """Of how many frames the detector was sure."""
    believed: bool = False
    """Whether it is not doubtful, whatever follows."""
    paused: bool = False
    pauses: int = 0
    continues: bool = False

    def add(self, frame: NDArray[np.int16], is_voiced: bool, is_sure: bool) -> None:
        self.frames.append(frame)
        self.voiced.append(is_voiced)
        self.sure += is_sure

    def drop(self, count: int) -> None:
        """Drop the first `count` frames: the rest continues the utterance."""
        del self.frames[:count], self.voiced[:count]
        self.first += count
        self.onset = self.first
        self.pauses = 0
        self.continues = True
