"""Audio that holds a number, and an STT engine that reads it. So a run can check what arrives."""

import os
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import FLAC_HEAD_BYTES, SAMPLE_RATE, encode
from common.settings import SttSettings
from common.utterance import Utterance
from ops.bench.chaos.plan import NO_MEMORY, WORDS, Kind, Plan, PlannedUtterance
from ops.demo.recording_file import read_samples, read_sentences
from workers.stt.engine import Engine, Hints, Transcription
from workers.stt.whisper import explain_gpu_error, load

SAMPLES: Final = SAMPLE_RATE // 10
MARK: Final = 12_345
"""The first sample of all audio that carries a number."""

BASE: Final = 30_000
"""A number is written in two digits of this base, each in one int16 sample."""

POISONED: Final = 66
"""Exit status of a process that was killed by the utterance in its hands."""


def spoken_text(number: int, kind: Kind = Kind.SPEECH) -> str:
    """Return what the instant engine hears in utterance `number`.

    The stand-in LLM answers it with this number, and with the numbers of the earlier rounds that
    the request held. So a right reply shows that the question and the history arrived.
    """
    word = f"{WORDS[kind]} " if kind in WORDS else ""
    return f"Remind me to pass {word}gate {number}. What are my reminders?"


def make_utterance(planned: PlannedUtterance, model: str) -> Utterance:
    """Return the utterance as a producer gives it to its outbox, for the STT model `model`."""
    samples = (
        _numbered_samples(planned)
        if model == InstantEngine.name
        else recorded_samples(planned.number)
    )
    audio = encode(samples)
    if planned.kind is Kind.BROKEN:  # its head is as announced, so that `publish` accepts it
        audio = audio[:FLAC_HEAD_BYTES] + bytes(60)
    return Utterance(
        id=planned.id,
        session=planned.session,
        samples=len(samples),
        audio=audio,
        speech_ms=1000 * len(samples) // SAMPLE_RATE,
        source="chaos",
        interrupt=Plan.interrupts(planned.session),
    )


def _numbered_samples(planned: PlannedUtterance) -> NDArray[np.int16]:
    samples = np.zeros(SAMPLES, np.int16)
    high, low = divmod(planned.number, BASE)
    samples[:4] = MARK, high, low, planned.kind.value
    return samples


def recorded_samples(number: int) -> NDArray[np.int16]:
    """Return a sentence of the bundled recording, for real models."""
    return read_samples(read_sentences()[number % len(read_sentences())])


def read_number(samples: NDArray[np.int16]) -> tuple[int, Kind]:
    """Return the number and the kind in the audio. Raises ValueError for any other audio."""
    mark, high, low, kind = (int(sample) for sample in samples[:4])
    if mark != MARK:
        raise ValueError("this is not the audio of a chaos run")
    return high * BASE + low, Kind(kind)


class InstantEngine:
    """An engine that reads the number in the audio, after `slow_s` seconds.

    Poison kills it, and for STT_FAILURE it lacks memory as on a GPU.
    """

    name = "instant"
    device = "none"

    def __init__(self, slow_s: float = 0.0) -> None:
        self._slow_s = slow_s

    def transcribe(self, samples: NDArray[np.int16], hints: Hints) -> Transcription:
        number, kind = read_number(samples)
        if kind is Kind.STT_POISON:
            os._exit(POISONED)
        if kind is Kind.STT_FAILURE:
            raise explain_gpu_error(RuntimeError(NO_MEMORY))
        if self._slow_s:
            time.sleep(self._slow_s)
        return Transcription(
            text="" if kind is Kind.NOISE else spoken_text(number, kind),
            language="en",
            language_probability=1.0,
            avg_logprob=0.0,
            no_speech_prob=float(kind is Kind.NOISE),
            audio_ms=1000 * len(samples) // SAMPLE_RATE,
            decode_ms=0,
        )

    def warm_up(self) -> None:
        """There is nothing to warm."""


def make_engine(settings: SttSettings, *, slow_s: float = 0.0) -> Engine:
    """Make the engine `instant`, or load a real model as a worker does."""
    return InstantEngine(slow_s) if settings.model == InstantEngine.name else load(settings)
