"""Telling what was said from noise, and from text that the model invented.

Where the constants come from: docs/hearing.md, "Invented text".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from workers.stt.stock_phrases import StockPhrase, split_words

Verdict = Literal["speech", "noise", "invented"]

WEAK: Final = -2.0
"""A stock phrase whose confidence is below this value is invented, even if there is a voice. Spoken
ones had -1.17 and more, also in noise that is 10 dB softer, and words that were misheard as a stock
phrase -1.76 and more. Most invented ones had less than -2.0."""

WEAK_REPEATED: Final = -1.75
"""The same for a phrase that the turn before it consisted of as well: noise goes on, and so does
its text."""

WEAK_LOOP: Final = -1.5
"""The same for a text that is nothing but a loop."""

WEAK_CREDIT: Final = -0.8
"""The same for credits. Nobody says them to a machine, and the model knows them by heart."""

WEAK_WITHOUT_VOICE: Final = -1.0
"""Any text with less confidence is noise if there is no voice in the sound at all."""

FASTEST: Final = 40.0
"""Letters for each second of voice. Spoken stock phrases had at most 22; nobody speaks at twice
that."""

LETTERS_OF_A_SYLLABLE: Final = 3
"""What one sign of a script counts that has a sign for each syllable or word."""

SYLLABLES: Final = ((0x1100, 0x11FF), (0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF))
"""Hangul, kana and Chinese characters, as Unicode numbers."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against a text.

    `no_speech_prob` and `avg_logprob` are the model's. `voiced_s` is how long the detector heard a
    voice in the utterance (s); 0: unknown. `after_the_end`: the model puts the text behind the end
    of the audio. `repeated`: the turn before in this session consisted of the same stock phrase.
    """

    no_speech_prob: float
    avg_logprob: float
    voiced_s: float = 0.0
    after_the_end: bool = False
    repeated: bool = False

    @property
    def confidence(self) -> float:
        """The log of how likely it is that somebody spoke, and said just this (mean of the
        tokens)."""
        return self.avg_logprob + math.log(max(1 - self.no_speech_prob, 1e-9))


def is_noise(
    text: str,
    *,
    no_speech_prob: float,
    avg_logprob: float,
    no_speech_threshold: float,
    log_prob_threshold: float,
) -> bool:
    """Return whether a text is noise: no letter or digit in it, or both scores bad.

    The second part is Whisper's own rule (Radford et al. 2022, section 4.5). One score alone is
    wrong too often: the first on quiet speech, the second on rare words.
    """
    if not any(character.isalnum() for character in text):
        return True
    return no_speech_prob > no_speech_threshold and avg_logprob < log_prob_threshold


def is_voiceless_noise(evidence: Evidence, has_voice: Callable[[], bool]) -> bool:
    """Return whether a text is noise because there is no voice, and the scores are weak.

    `has_voice` takes time, and is asked only about weak scores.
    """
    return evidence.confidence < WEAK_WITHOUT_VOICE and not has_voice()


def is_invented(
    phrase: StockPhrase | None, evidence: Evidence, has_voice: Callable[[], bool]
) -> bool:
    """Return whether a text is invented: it consists of stock phrases, *and* the evidence is weak.

    Neither suffices alone. People say "thank you", and they mumble.
    """
    if phrase is None:
        return False
    if evidence.after_the_end:
        return True
    if evidence.voiced_s and count_letters(phrase.text) > FASTEST * evidence.voiced_s:
        return True
    if phrase.kind == "credit":
        return evidence.confidence < WEAK_CREDIT
    if evidence.confidence < (WEAK_REPEATED if evidence.repeated else WEAK):
        return True
    return is_voiceless_noise(evidence, has_voice)


def count_letters(text: str) -> int:
    """Return how many letters a text has; a sign that stands for a syllable counts as three."""
    letters = "".join(split_words(text))
    signs = sum(any(first <= ord(sign) <= last for first, last in SYLLABLES) for sign in letters)
    return len(letters) + (LETTERS_OF_A_SYLLABLE - 1) * signs
