"""The bundled recording and what is said in it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

# which `earshot demo --help` must not wait for
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER: Final = Path(__file__).parent / "recording"
AUDIO: Final = FOLDER / "conversation.flac"
RATE: Final = 16_000
ROOM_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the recording; times in seconds from its start."""

    text: str
    start_s: float
    end_s: float
    voice: str


def read_sentences() -> list[Sentence]:
    """What is spoken, in order; made with the audio by `ops.training.make_recording`."""
    script = json.loads((FOLDER / "conversation.json").read_text(encoding="utf-8"))
    return [Sentence(**sentence) for sentence in script["sentences"]]


def read_samples(sentence: Sentence, room_s: float = ROOM_S) -> "NDArray[np.int16]":
    """Its audio at 16 kHz, with so much of what is around it on both sides."""
    import soundfile

    start, end = round((sentence.start_s - room_s) * RATE), round((sentence.end_s + room_s) * RATE)
    samples: NDArray[np.int16]
    samples, _ = soundfile.read(AUDIO, frames=end - start, start=start, dtype="int16")
    return samples


def normalise(text: str) -> str:
    """Words alone: how sentences are compared, whatever their case and punctuation."""
    return " ".join(re.findall(r"[a-z0-9']+", text.casefold()))
