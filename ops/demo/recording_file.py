"""The bundled recording, and the sentences in it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

# importing it takes time, and `earshot demo --help` must not wait for it
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER: Final = Path(__file__).parent / "recording"
AUDIO: Final = FOLDER / "conversation.flac"
RATE: Final = 16_000
ROOM_S: Final = 0.3
"""How much of the silence before and after a sentence is read with it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the recording. Times are in seconds from the start of the recording."""

    text: str
    start_s: float
    end_s: float
    voice: str


def read_sentences() -> list[Sentence]:
    """Return the sentences in order. `ops.training.make_recording` made them and the audio."""
    script = json.loads((FOLDER / "conversation.json").read_text(encoding="utf-8"))
    return [Sentence(**sentence) for sentence in script["sentences"]]


def read_samples(sentence: Sentence, room_s: float = ROOM_S) -> "NDArray[np.int16]":
    """Return the audio of a sentence at 16 kHz, with `room_s` before and after it."""
    import soundfile

    start, end = round((sentence.start_s - room_s) * RATE), round((sentence.end_s + room_s) * RATE)
    samples: NDArray[np.int16]
    samples, _ = soundfile.read(AUDIO, frames=end - start, start=start, dtype="int16")
    return samples


def normalise(text: str) -> str:
    """Return only the words, in lower case, so that sentences can be compared."""
    return " ".join(re.findall(r"[a-z0-9']+", text.casefold()))
