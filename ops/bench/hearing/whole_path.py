"""Word errors of the whole path, from the sound to the text: cut by the ear, against cut at the
known edges."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from ops.bench.hearing.judge import Shipped
from ops.bench.hearing.scenes import Scene, Turn
from ops.bench.hearing.words import word_errors
from producer.speech.endpointing import Endpointing

MARGIN_S: Final = 0.3
"""What is kept around a perfectly cut sentence: the pre-roll's and the tail's default."""
CONFIDENCE_95: Final = 1.96
"""Standard errors to either side that hold a mean in 95 of 100 cases (normal distribution)."""

Transcribe = Callable[[NDArray[np.int16]], str]


@dataclass(slots=True)
class Comparison:
    """Word errors of the same sentences, cut both ways; scenes add up."""

    words: int = 0
    turns: int = 0
    left_out: int = 0
    path: list[int] = field(default_factory=list)
    """Errors by sentence, or by sentences that share an utterance; then those of what was shipped
    besides."""
    perfect: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Both rates as shares; the difference in points with its 95 % interval, from how much it
        spreads over the sentences: a small model's errors are whole sentences, so chance alone
        makes some points."""
        words = max(self.words, 1)
        paired = [one - other for one, other in zip(self.path, self.perfect, strict=True)]
        excess = 100 * sum(paired) / words
        spread = float(np.std(paired, ddof=1)) if len(paired) > 1 else 0.0
        margin = 100 * CONFIDENCE_95 * spread * math.sqrt(len(paired)) / words
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
    """Both word error rates of one scene, whichever detector and preset cut it.

    A turn with a pause as long as the silence that ends an utterance is two utterances by right,
    and a model may well understand two halves otherwise than the whole: such turns are left out
    on both sides. All else counts: what is missed, what is shipped besides, what ran together.
    """

    def __init__(self, scene: Scene, transcribe: Transcribe) -> None:
        self._turns = scene.turns
        self._text = cache(
            lambda start, end: transcribe(scene.samples[max(start, 0) : end])
        )  # detectors and presets often cut alike

    def compare(self, shipped: list[Shipped], rules: Endpointing, into: Comparison) -> None:
        """Adds this scene to `into`."""
        counted = [turn for turn in self._turns if turn.pause_s < rules.silence_s]
        halved = [turn for turn in self._turns if turn.pause_s >= rules.silence_s]
        into.turns += len(counted)
        into.left_out += len(halved)
        for turns, own in _together(counted, shipped):
            said = " ".join(turn.text for turn in turns)
            perfect = " ".join(self._text(*_edges(turn)) for turn in turns)
            errors = word_errors(said, " ".join(self._text(one.start, one.end) for one in own))
            into.words += errors.words
            into.path.append(errors.errors)
            into.perfect.append(word_errors(said, perfect).errors)
        for one in shipped:
            if not any(map(one.overlaps, self._turns)):
                into.path.append(word_errors("", self._text(one.start, one.end)).errors)
                into.perfect.append(0)


def perfectly_cut(scene: Scene, turns: Sequence[Turn], transcribe: Transcribe) -> str:
    """What the model makes of these turns of the scene, each cut at its known edges."""
    edges = map(_edges, turns)
    return " ".join(transcribe(scene.samples[max(start, 0) : end]) for start, end in edges)


def _edges(turn: Turn) -> tuple[int, int]:
    margin = round(MARGIN_S * SAMPLE_RATE)
    return turn.start - margin, turn.end + margin


def _together(
    turns: Sequence[Turn], shipped: list[Shipped]
) -> Iterator[tuple[list[Turn], list[Shipped]]]:
    """Turns in their order with the utterances that hold them; those that ran together as one."""
    group: list[Turn] = []
    of: list[Shipped] = []
    for turn in turns:
        own = [one for one in shipped if one.overlaps(turn)]
        if group and not any(one in of for one in own):
            yield group, of
            group, of = [], []
        group.append(turn)
        of += [one for one in own if one not in of]
    if group:
        yield group, of
