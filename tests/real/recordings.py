"""Recordings of a folder, and what the path makes of them."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from common.audio import SAMPLE_RATE
from common.settings import ListenSettings
from producer.recording import RecordingCutter
from producer.sources.audio_file import AudioFileSource
from producer.speech.segmenter import SpeechSegment
from tests.support.speechlike import room_noise
from workers.stt.engine import Hints, Transcription
from workers.stt.whisper import Whisper

DETECTORS: Final = ("webrtc", "silero", "cascade")
BEFORE_S: Final = 1.2
AFTER_S: Final = 1.5
"""A quiet room around each recording, since many begin and end with the speech."""

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One file. `text`: what is said in it; empty: nothing; None: unknown."""

    name: str
    samples: Samples
    text: str | None


def read_recordings(folder: Path) -> list[Recording]:
    """Read NAME.flac or NAME.wav with NAME.txt. `manifest.jsonl` may say which hold only noise."""
    noise = _noise_of_manifest(folder / "manifest.jsonl")
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in {".flac", ".wav"}:
            text = path.with_suffix(".txt")
            said = text.read_text(encoding="utf-8").strip() if text.exists() else None
            with AudioFileSource(path, called=path.name) as source:
                samples = np.concatenate(list(source))[: source.samples]
            found.append(Recording(path.name, samples, "" if path.name in noise else said))
    return found


def _noise_of_manifest(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {row["file"] for row in map(json.loads, lines) if row.get("kind") == "noise_only"}


def cut(samples: Samples, detector: str, preset: str = "command") -> list[SpeechSegment]:
    """Return what the detector and the segmenter make of some sound."""
    settings = ListenSettings.model_validate({"vad": detector, "preset": preset})
    whole = np.concatenate([room_noise(BEFORE_S), samples, room_noise(AFTER_S, seed=2)])
    with tempfile.TemporaryDirectory(prefix="earshot-real-") as folder:
        path = Path(folder) / "recording.wav"
        soundfile.write(path, whole, SAMPLE_RATE)
        with AudioFileSource(path, settings.frame_ms) as source:
            return list(RecordingCutter(source, settings))


def hear(whisper: Whisper, segments: Sequence[SpeechSegment]) -> list[Transcription]:
    """Return what the STT worker makes of these segments."""
    return [
        whisper.transcribe(segment.samples, Hints(voiced_s=segment.speech_samples / SAMPLE_RATE))
        for segment in segments
    ]


def join(heard: Sequence[Transcription]) -> str:
    """Return all that was heard."""
    return " ".join(one.text for one in heard if one.text)
