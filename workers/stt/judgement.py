"""What of a model's output was said: without noise, invented text and loops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import structlog

from common.settings import SttSettings
from workers.stt.engine import Hints
from workers.stt.metrics import INVENTED
from workers.stt.noise import WEAK_LOOP, Evidence, is_invented, is_noise, is_voiceless_noise
from workers.stt.repetition import cut_loops, is_loop, is_too_fast
from workers.stt.stock_phrases import find_stock_phrase, split_words

LATE_S: Final = 0.5
"""The model's times err by some tenths of a second. What begins later than this after the end of
the sound, in the silence that fills up the window of 30 s, nobody said."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A segment of the model that is speech, with its text on one line; times in s."""

    start: float
    end: float
    text: str
    no_speech_prob: float
    avg_logprob: float

    @property
    def confidence(self) -> float:
        """See Evidence."""
        return Evidence(self.no_speech_prob, self.avg_logprob).confidence


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was said. `invented`: what was dropped as invented. `phrase`: see Transcription."""

    speech: list[Spoken]
    invented: str
    phrase: str


def judge(
    segments: Sequence[Any],
    hints: Hints,
    settings: SttSettings,
    audio_s: float,
    has_voice: Callable[[], bool],
) -> Judgement:
    """Judge the segments that faster-whisper made of `audio_s` seconds of sound.

    `has_voice` looks whether there is a voice in it. It is asked only if that matters, and once.
    """
    has_voice = cache(has_voice)
    lines = [
        Spoken(
            segment.start,
            segment.end,
            " ".join(segment.text.split()),
            segment.no_speech_prob,
            segment.avg_logprob,
        )
        for segment in segments
    ]
    written = find_stock_phrase(" ".join(line.text for line in lines))
    phrase = written.text if written else ""
    speech: list[Spoken] = []
    invented: list[str] = []
    for line in lines:
        evidence = Evidence(
            line.no_speech_prob,
            line.avg_logprob,
            voiced_s=hints.voiced_s,
            after_the_end=line.start > audio_s + LATE_S,
            repeated=bool(phrase) and phrase == hints.phrase,
        )
        if is_invented(find_stock_phrase(line.text), evidence, has_voice):
            invented.append(line.text)
        elif not is_noise(
            line.text,
            no_speech_prob=line.no_speech_prob,
            avg_logprob=line.avg_logprob,
            no_speech_threshold=settings.no_speech_threshold,
            log_prob_threshold=settings.log_prob_threshold,
        ) and not is_voiceless_noise(evidence, has_voice):
            speech.append(line)
    if invented:
        INVENTED.labels("phrase").inc()
    speech, loops = _cut_loops(speech, audio_s)
    return Judgement(speech, " ".join([*invented, *loops]), phrase)


def _cut_loops(speech: list[Spoken], audio_s: float) -> tuple[list[Spoken], list[str]]:
    """Return the speech with each loop written once, and loops that nobody said even once."""
    text = " ".join(line.text for line in speech)
    if not is_too_fast(text, audio_s):
        return speech, []
    if is_loop(text) and all(line.confidence < WEAK_LOOP for line in speech):
        INVENTED.labels("loop").inc()
        return [], [text]
    kept: list[Spoken] = []
    for line in speech:
        short = cut_loops(line.text)
        if not kept or split_words(kept[-1].text) != split_words(short):
            kept.append(Spoken(line.start, line.end, short, line.no_speech_prob, line.avg_logprob))
    left = sum(len(line.text) for line in kept)
    if left < sum(len(line.text) for line in speech):
        INVENTED.labels("loop").inc()
        log.info("loop_cut", chars=len(text), left=left)
    return kept, []
