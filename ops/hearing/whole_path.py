"""Word errors of the whole path, from the sound to the text: cut by the ear, against cut at the
known edges."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from common.codecs import SAMPLE_RATE
from ops.hearing.judge import Shipped
from ops.hearing.scenes import Scene
from ops.hearing.words import WordErrors, word_errors
from producer.presets import Endpointing

MARGIN_S: Final = 0.3
"""What is kept around a perfectly cut sentence: the pre-roll's and the tail's default."""

Transcribe = Callable[[NDArray[np.int16]], str]


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

    def compared(self, shipped: list[Shipped], rules: Endpointing) -> dict[str, Any]:
        """Both rates as shares, and the words and turns that they count."""
        counted = [turn for turn in self._turns if turn.pause_s < rules.silence_s]
        halved = [turn for turn in self._turns if turn.pause_s >= rules.silence_s]
        said = " ".join(turn.text for turn in counted)
        kept = [
            (one.start, one.end)
            for one in shipped
            if any(map(one.overlaps, counted)) or not any(map(one.overlaps, halved))
        ]
        margin = round(MARGIN_S * SAMPLE_RATE)
        perfect = self._errors(said, [(one.start - margin, one.end + margin) for one in counted])
        path = self._errors(said, kept)
        return {
            "words": path.words,
            "word_turns": len(counted),
            "word_turns_left_out": len(halved),
            "wer": round(path.rate, 4),
            "wer_perfectly_cut": round(perfect.rate, 4),
        }

    def _errors(self, said: str, pieces: list[tuple[int, int]]) -> WordErrors:
        return word_errors(said, " ".join(self._text(*piece) for piece in pieces))
