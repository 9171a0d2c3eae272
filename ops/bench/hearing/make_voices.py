"""Make `voices.flac`, with sentences that espeak-ng and flite speak, and its description.

With these files the benchmark mixes the same sound on every machine. It then needs neither engine,
and it does not matter that their versions speak differently. `voices.json` says which voice says
what, and how many samples each part has. The figures in docs/hearing.md belong to the committed
files. Run as: python -m ops.bench.hearing.make_voices
"""

import json
from itertools import islice
from typing import Any

import numpy as np
import soundfile

from common.audio import SAMPLE_RATE
from ops.bench.hearing.voices import BUNDLED, DESCRIPTION, TEXTS, Clip, synthesise_clips


def describe(clip: Clip) -> dict[str, Any]:
    """Return a clip without its samples, for JSON."""
    return {"text": clip.text, "voice": clip.voice, "parts": [len(part) for part in clip.parts]}


def main() -> None:
    """Write both files."""
    clips = list(islice(synthesise_clips(), len(TEXTS)))
    spoken = np.concatenate([part for clip in clips for part in clip.parts])
    soundfile.write(BUNDLED, spoken, SAMPLE_RATE, subtype="PCM_16")
    text = json.dumps({"clips": [describe(clip) for clip in clips]}, indent=2)
    DESCRIPTION.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
