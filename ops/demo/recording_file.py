"""The bundled recording and what is said in it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "recording"
AUDIO: Final = FOLDER / "conversation.flac"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the recording; times in seconds from its start."""

    text: str
    start_s: float
    end_s: float
    voice: str


def sentences() -> list[Sentence]:
    """What is spoken, in order; made together with the audio by `recording/make_recording.py`."""
    script = json.loads((FOLDER / "conversation.json").read_text(encoding="utf-8"))
    return [Sentence(**sentence) for sentence in script["sentences"]]


def normalised(text: str) -> str:
    """Words alone: how sentences are compared, whatever their case and punctuation."""
    return " ".join(re.findall(r"[a-z0-9']+", text.casefold()))
