"""Recordings of a user: NAME.wav or NAME.flac, NAME.txt (what is said), NAME.json (its turns)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.errors import BadInput
from ops.bench.hearing.scenes import Scene, Turn
from producer.sources.audio_file import AudioFileSource

BEFORE_S: Final = 1.0
AFTER_S: Final = 3.0
"""BEFORE_S and AFTER_S of silence are put around each recording: many recordings begin and end with
the speech, and then it could not be told where the speech ends."""

_ROUNDING_S: Final = 0.05
"""A turn may end this much after the recording, because people round."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One file, with silence before and after it."""

    name: str
    scene: Scene
    text: str | None
    """What is said in it. None means that this is unknown; an empty text, that nothing is said."""
    has_turns: bool
    """Whether its turns are known. If not, the scene has no turns."""


def read_recordings(folder: Path) -> list[Recording]:
    """Return all recordings of a folder, by name.

    Raises BadInput if there is none, or if one cannot be read.
    """
    suffixes = {".wav", ".flac"}
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    if not paths:
        raise BadInput(f"{folder} holds no .wav and no .flac file")
    return [_read_recording(path) for path in paths]


def _read_recording(path: Path) -> Recording:
    with AudioFileSource(path, called=path.name) as source:
        frames = list(source)
        whole = np.concatenate(frames)[: source.samples]
    before = round(BEFORE_S * SAMPLE_RATE)
    audio: NDArray[np.int16] = np.pad(whole, (before, round(AFTER_S * SAMPLE_RATE)))
    turns = _read_turns(path.with_suffix(".json"), before, len(whole) / SAMPLE_RATE)
    text = _read_text(path.with_suffix(".txt"))
    return Recording(
        path.name,
        Scene(audio, turns or ()),
        None if text is None else text.strip(),
        turns is not None,
    )


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path.name} is not text in UTF-8") from None


def _read_turns(path: Path, offset: int, length_s: float) -> tuple[Turn, ...] | None:
    text = _read_text(path)
    if text is None:
        return None
    try:
        turns = [(float(start), float(end)) for start, end in json.loads(text)]
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{path.name} must be a list of turns in seconds, [[start, end], ...]: {error}"
        ) from None
    for start, end in turns:
        if not 0 <= start < end <= length_s + _ROUNDING_S:
            raise BadInput(
                f"{path.name} has a turn from {start:g} to {end:g} s; the recording lasts"
                f" {length_s:.1f} s"
            )
    return tuple(
        Turn(offset + round(start * SAMPLE_RATE), offset + round(end * SAMPLE_RATE), "")
        for start, end in turns
    )
