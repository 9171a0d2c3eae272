"""Spoken sentences with known text: those of the bundled recording, those that are bundled beside
it, and more of espeak-ng's and flite's where they are installed."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from ops.demo.recording_file import AUDIO, FOLDER, read_sentences

Samples = NDArray[np.float32]

BUNDLED: Final = FOLDER / "voices.flac"
DESCRIPTION: Final = FOLDER / "voices.json"

SPEECH_RMS: Final = 0.09
"""Level of every sentence, of full scale: -21 dBFS, an ordinary recording."""

_EDGE: Final = 0.01
"""A sentence begins and ends where it is this much of its peak (40 dB below it)."""

ENGINES: Final = (
    ("espeak-ng", "en-us+m5"),
    ("flite", "rms"),
    ("espeak-ng", "en-us+f4"),
    ("espeak-ng", "en-us+Andy"),
    ("flite", "slt"),
    ("espeak-ng", "en-us+belinda"),
    ("espeak-ng", "en-us+klatt4"),
    ("espeak-ng", "en-us+john"),
    ("espeak-ng", "en-us+travis"),
    ("espeak-ng", "en-us+steph"),
)
"""Engine and voice, in the order in which sentences take turns with them."""
_FIRST_ROUND: Final = 6
"""So many of them speak when each sentence is said once."""

PAUSE: Final = "/"
TEXTS: Final = (
    "Turn on the lights / in the kitchen.",
    "Tell me a joke / about a robot.",
    "Please tell me / a story.",
    "Set a timer / for ten minutes.",
    "Stop, / please.",
    "Cancel that.",
    "What time is it?",
    "Good morning.",
    "Play / some piano music.",
    "Can you tell me / a joke?",
    "See you tomorrow.",
    "Turn off / the radio.",
    "Sing me a song.",
    "How are you today?",
    "Thank you very much.",
    "Remind me / to water the plants.",
    "Please turn on / the bedroom lights.",
    "That was funny.",
    "Hello, / how are you?",
    "Continue.",
)
"""Sentences that the bundled model knows; a slash is where a speaker may hesitate."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One sentence, in the parts between which a pause may be put; 16 kHz mono at SPEECH_RMS."""

    text: str
    parts: tuple[Samples, ...]
    voice: str


def clips(count: int) -> list[Clip]:
    """The first `count` sentences that can be had here (fewer, where there are no more). Those of
    the recording and each of TEXTS once are the same everywhere; more depend on the engines."""
    more = islice(synthesised(), len(TEXTS), None)
    return list(islice(chain(recorded(), bundled(), more), count))


def recorded() -> Iterator[Clip]:
    """The sentences of the bundled recording."""
    audio, rate = soundfile.read(AUDIO, dtype="float32")
    for sentence in read_sentences():
        part = audio[round(sentence.start_s * rate) : round(sentence.end_s * rate)]
        yield Clip(sentence.text, (_levelled([part])[0],), sentence.voice)


def bundled() -> Iterator[Clip]:
    """TEXTS once, as `make_voices.py` kept them."""
    audio, _ = soundfile.read(BUNDLED, dtype="float32")
    at = 0
    for clip in json.loads(DESCRIPTION.read_text(encoding="utf-8"))["clips"]:
        parts = []
        for length in clip["parts"]:
            parts.append(audio[at : at + length])
            at += length
        yield Clip(clip["text"], tuple(parts), clip["voice"])


def synthesised() -> Iterator[Clip]:
    """TEXTS once, each in one of the voices of the engines that are installed; then again, until
    every voice has said each of them."""
    voices = [(engine, voice) for engine, voice in ENGINES if shutil.which(engine)]
    first = min(_FIRST_ROUND, len(voices))
    for turn in range(len(voices)):
        for number, text in enumerate(TEXTS):
            yield _clip(text, *voices[(number % first + turn) % len(voices)])


def _clip(text: str, engine: str, voice: str) -> Clip:
    parts = [_trimmed(speak(part.strip(), engine, voice)) for part in text.split(PAUSE)]
    return Clip(text.replace(f" {PAUSE}", ""), tuple(_levelled(parts)), f"{engine}:{voice}")


def speak(text: str, engine: str, voice: str) -> Samples:
    """`text` as the engine speaks it, 16 kHz mono, with the silence that it puts around.

    Raises CalledProcessError where the engine lacks the voice.
    """
    with tempfile.TemporaryDirectory(prefix="earshot-voice-") as folder:
        path = Path(folder) / "spoken.wav"
        arguments = {
            "espeak-ng": ["espeak-ng", "-v", voice, "-w", str(path), text],
            "flite": ["flite", "-voice", voice, "-o", str(path), "-t", text],
        }[engine]
        subprocess.run(arguments, check=True, capture_output=True)
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    spoken: Samples = soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE).astype(np.float32)
    return spoken


def _trimmed(samples: Samples) -> Samples:
    heard = np.flatnonzero(np.abs(samples) > _EDGE * np.abs(samples).max())
    return samples[heard[0] : heard[-1] + 1]


def _levelled(parts: list[Samples]) -> list[Samples]:
    """At SPEECH_RMS all together, so that no part is louder than the engine made it."""
    rms = float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))
    return [part * np.float32(SPEECH_RMS / rms) for part in parts]
