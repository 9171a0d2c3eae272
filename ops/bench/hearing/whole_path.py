"""Word errors of the whole path from sound to text: as earshot cuts it, and cut at known edges."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from ops.bench.hearing.scenes import Scene, Turn
from ops.bench.hearing.score import CutSegment
from ops.bench.hearing.words import word_errors
from producer.speech.endpointing import Endpointing

MARGIN_S: Final = 0.3
"""Sound that is kept before and after a perfectly cut sentence: the default pre-roll and tail."""

CONFIDENCE_95: Final = 1.96
"""Standard errors to each side of a mean that hold it in 95 of 100 cases (normal distribution)."""

Transcribe = Callable[[NDArray[np.int16]], str]


@dataclass(slots=True)
class Comparison:
    """Word errors of the same sentences, cut in both ways. It can hold several scenes."""

    words: int = 0
    turns: int = 0
    left_out: int = 0
    path: list[int] = field(default_factory=list)
    """Errors of the whole path: of each sentence (or of several that share a segment), and then of
    each segment that holds no sentence."""
    perfect: list[int] = field(default_factory=list)
    """Errors at the same places, with the sentences perfectly cut."""

    def as_dict(self) -> dict[str, Any]:
        """Return both rates as shares, and their difference in points with its 95 % interval.

        The interval comes from the spread of the difference over the sentences. A small model
        often mishears whole sentences, so chance alone makes a difference of some points.
        """
        words = max(self.words, 1)
        differences = [one - other for one, other in zip(self.path, self.perfect, strict=True)]
        excess = 100 * sum(differences) / words
        spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
        margin = 100 * CONFIDENCE_95 * spread * math.sqrt(len(differences)) / words
        return {
            "words": self.words,
            "word_turns": self.turns,
            "word_turns_left_out": self.left_out,
            "wer": round(sum(self.path) / words, 4),
            "wer_perfectly_cut": round(sum(self.perfect) / words, 4),
            "wer_excess_points": round(excess, 2),
            "wer_excess_interval_points": [round(excess - margin, 2), round(excess + margin, 2)],
        }


class WholePath:
    """Compares the word errors of one scene, for any detector and preset that cut it.

    A turn whose pause is as long as the silence that ends an utterance is rightly cut in two. A
    model may understand two halves otherwise than the whole. So such turns are left out on both
    sides. All else counts: missed turns, false utterances, and turns that ran together.
    """

    def __init__(self, scene: Scene, transcribe: Transcribe) -> None:
        self._turns = scene.turns
        # detectors and presets often cut at the same places
        self._transcribe = cache(lambda start, end: transcribe(scene.samples[max(start, 0) : end]))

    def compare(self, segments: list[CutSegment], rules: Endpointing, into: Comparison) -> None:
        """Add this scene to `into`."""
        counted = [turn for turn in self._turns if turn.pause_s < rules.silence_s]
        into.turns += len(counted)
        into.left_out += len(self._turns) - len(counted)
        for turns, own in _group_turns(counted, segments):
            spoken = " ".join(turn.text for turn in turns)
            heard = " ".join(self._transcribe(segment.start, segment.end) for segment in own)
            perfect = " ".join(self._transcribe(*_edges(turn)) for turn in turns)
            errors = word_errors(spoken, heard)
            into.words += errors.words
            into.path.append(errors.errors)
            into.perfect.append(word_errors(spoken, perfect).errors)
        for segment in segments:
            if not any(map(segment.overlaps, self._turns)):
                heard = self._transcribe(segment.start, segment.end)
                into.path.append(word_errors("", heard).errors)
                into.perfect.append(0)


def transcribe_perfectly_cut(scene: Scene, turns: Sequence[Turn], transcribe: Transcribe) -> str:
    """Transcribe these turns of the scene, each cut at its known edges."""
    edges = map(_edges, turns)
    return " ".join(transcribe(scene.samples[max(start, 0) : end]) for start, end in edges)


def _edges(turn: Turn) -> tuple[int, int]:
    margin = round(MARGIN_S * SAMPLE_RATE)
    return turn.start - margin, turn.end + margin


def _group_turns(
    turns: Sequence[Turn], segments: list[CutSegment]
) -> Iterator[tuple[list[Turn], list[CutSegment]]]:
    """Yield turns with the segments that hold them; turns that share a segment come together."""
    group: list[Turn] = []
    of_group: list[CutSegment] = []
    for turn in turns:
        own = [segment for segment in segments if segment.overlaps(turn)]
        if group and not any(segment in of_group for segment in own):
            yield group, of_group
            group, of_group = [], []
        group.append(turn)
        of_group += [segment for segment in own if segment not in of_group]
    if group:
        yield group, of_group
