"""Makes `voices.flac`, sentences that espeak-ng and flite spoke, and its description.

The bench's talk and its babble are so the same on every machine: neither engine need be there, and
the engines' versions speak differently. `voices.json` beside it says who says what, and how long
its parts are, in samples. The committed file is the one whose figures are in docs/hearing.md.
Run as: python -m ops.bench.hearing.make_voices
"""

import json
from itertools import islice
from typing import Any

import numpy as np
import soundfile

from common.audio import SAMPLE_RATE
from ops.bench.hearing.voices import BUNDLED, DESCRIPTION, TEXTS, Clip, synthesised


def described(clip: Clip) -> dict[str, Any]:
    """A clip without its samples, for JSON."""
    return {"text": clip.text, "voice": clip.voice, "parts": [len(part) for part in clip.parts]}


def main() -> None:
    """Writes both files."""
    clips = list(islice(synthesised(), len(TEXTS)))
    spoken = np.concatenate([part for clip in clips for part in clip.parts])
    soundfile.write(BUNDLED, spoken, SAMPLE_RATE, subtype="PCM_16")
    text = json.dumps({"clips": [described(clip) for clip in clips]}, indent=2)
    DESCRIPTION.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
