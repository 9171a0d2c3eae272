"""Spoken sentences with known text: the bundled ones, and more from espeak-ng and flite.

The engines are used where they are installed.
"""

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
"""A sentence begins and ends where its level is this part of its peak (40 dB below it)."""

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
"""Engine and voice, in the order in which they take turns."""

_FIRST_ROUND: Final = 6
"""How many of them take turns while each sentence is said for the first time."""

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
"""Sentences that the bundled model knows. At a slash a speaker may make a pause."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One sentence, 16 kHz mono at SPEECH_RMS. Between its parts a pause may be put."""

    text: str
    parts: tuple[Samples, ...]
    voice: str


def load_clips(count: int) -> list[Clip]:
    """Return the first `count` sentences, or fewer if this machine has no more.

    The first are the bundled ones, which are the same everywhere. More come from the engines.
    """
    more = islice(synthesise_clips(), len(TEXTS), None)
    return list(islice(chain(load_recording(), load_texts(), more), count))


def load_recording() -> Iterator[Clip]:
    """Yield the sentences of the bundled recording."""
    audio, rate = soundfile.read(AUDIO, dtype="float32")
    for sentence in read_sentences():
        part = audio[round(sentence.start_s * rate) : round(sentence.end_s * rate)]
        yield Clip(sentence.text, (set_level([part])[0],), sentence.voice)


def load_texts() -> Iterator[Clip]:
    """Yield TEXTS, each once, as `make_voices.py` has stored them."""
    audio, _ = soundfile.read(BUNDLED, dtype="float32")
    at = 0
    for clip in json.loads(DESCRIPTION.read_text(encoding="utf-8"))["clips"]:
        parts = []
        for length in clip["parts"]:
            parts.append(audio[at : at + length])
            at += length
        yield Clip(clip["text"], tuple(parts), clip["voice"])


def synthesise_clips() -> Iterator[Clip]:
    """Yield TEXTS again and again, until every voice of the installed engines has said each."""
    voices = [(engine, voice) for engine, voice in ENGINES if shutil.which(engine)]
    first = min(_FIRST_ROUND, len(voices))
    for turn in range(len(voices)):
        for number, text in enumerate(TEXTS):
            yield _synthesise_clip(text, *voices[(number % first + turn) % len(voices)])


def _synthesise_clip(text: str, engine: str, voice: str) -> Clip:
    parts = [trim(speak(part.strip(), engine, voice)) for part in text.split(PAUSE)]
    return Clip(text.replace(f" {PAUSE}", ""), tuple(set_level(parts)), f"{engine}:{voice}")


def speak(text: str, engine: str, voice: str) -> Samples:
    """Let an engine speak `text`; return 16 kHz mono, with the silence before and after it.

    Raises CalledProcessError if the engine lacks the voice.
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


def trim(samples: Samples) -> Samples:
    """Remove the silence before and after a sentence."""
    heard = np.flatnonzero(np.abs(samples) > _EDGE * np.abs(samples).max())
    return samples[heard[0] : heard[-1] + 1]


def set_level(parts: list[Samples]) -> list[Samples]:
    """Bring the parts of a sentence to SPEECH_RMS together: their differences in level stay."""
    rms = float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))
    return [part * np.float32(SPEECH_RMS / rms) for part in parts]
