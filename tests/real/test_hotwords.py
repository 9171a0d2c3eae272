"""Words of one's own change what Whisper hears; those that have no room are cut at a word."""

import shutil

import numpy as np
import pytest

from common.audio import SAMPLE_RATE
from tests.real.test_short_words import say
from workers.stt.engine import Hints
from workers.stt.hotwords import MOST_TOKENS
from workers.stt.whisper import Whisper

SENTENCE = "Please ask Siobhan Kowalczyk about earshot."
NAMES = ("Siobhan", "Kowalczyk", "earshot")


@pytest.mark.skipif(not shutil.which("flite"), reason="no synthetic voice: install flite")
def test_names_are_heard_with_their_words_and_not_without(
    whisper: Whisper, figures: list[str]
) -> None:
    spoken = say(SENTENCE, "flite", "slt")
    without = whisper.transcribe(spoken, Hints("en")).text
    with_words = whisper.transcribe(spoken, Hints("en", hotwords=NAMES)).text
    figures.append(f"hotwords: without {without!r}, with {with_words!r}")
    found = [name in with_words for name in NAMES]
    assert sum(found) > sum(name in without for name in NAMES)


def test_as_many_words_as_whisper_takes_are_used(whisper: Whisper) -> None:
    words = tuple(f"Siobhan{number}" for number in range(300))
    kept = whisper._hotwords.fit(words)
    assert kept is not None
    assert whisper._count_tokens(" " + kept) <= MOST_TOKENS
    one_more = ", ".join(words[: len(kept.split(", ")) + 1])
    assert whisper._count_tokens(" " + one_more) > MOST_TOKENS


def test_silence_has_no_text_with_words_of_ones_own(whisper: Whisper) -> None:
    silence = np.random.default_rng(3).normal(0, 20, 2 * SAMPLE_RATE).astype(np.int16)
    assert whisper.transcribe(silence, Hints("en", hotwords=NAMES)).text == ""
