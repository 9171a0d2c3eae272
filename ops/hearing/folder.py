"""A user's own recordings: NAME.wav or NAME.flac, NAME.txt (what is said), NAME.json (turns)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from common.codecs import SAMPLE_RATE
from common.errors import BadInput
from ops.hearing.scenes import Scene, Turn

BEFORE_S: Final = 1.0
AFTER_S: Final = 3.0
"""Silence put around each recording: many are cut so close that nothing tells where they end."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One file, with silence around it."""

    name: str
    scene: Scene
    text: str | None
    """What is said in it; None: not known; "": nothing."""
    has_turns: bool
    """Whether its turns are known; otherwise the scene has none."""


def recordings(folder: Path) -> list[Recording]:
    """All recordings of a folder, by name.

    Raises BadInput where there is none, or where one cannot be read.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".wav", ".flac"})
    if not paths:
        raise BadInput(f"{folder} holds no .wav and no .flac file")
    return [_recording(path) for path in paths]


def _recording(path: Path) -> Recording:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}") from None
    mono = soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE)
    whole = np.rint(mono * 32_768).clip(-32_768, 32_767).astype(np.int16)
    before = round(BEFORE_S * SAMPLE_RATE)
    audio: NDArray[np.int16] = np.pad(whole, (before, round(AFTER_S * SAMPLE_RATE)))
    text = path.with_suffix(".txt")
    turns = _turns(path.with_suffix(".json"), before)
    return Recording(
        path.name,
        Scene(audio, turns or ()),
        text.read_text(encoding="utf-8").strip() if text.exists() else None,
        turns is not None,
    )


def _turns(path: Path, offset: int) -> tuple[Turn, ...] | None:
    if not path.exists():
        return None
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))
        turns = [(float(start), float(end)) for start, end in pairs]
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{path.name} must be a list of turns in seconds, [[start, end], ...]: {error}"
        ) from None
    return tuple(
        Turn(offset + round(start * SAMPLE_RATE), offset + round(end * SAMPLE_RATE), "")
        for start, end in turns
    )
