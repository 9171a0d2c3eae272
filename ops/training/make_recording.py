"""Make `conversation.flac`, which `earshot demo` plays, and its description.

It holds nine sentences of the demo model's grammar, in voices that the training has never heard.
There is also a burst like a cough, which is too short to be an utterance, and a fan that runs for a
while, also under one sentence. `conversation.json` says when each sentence is spoken. The seed is
fixed, but other versions of the engines sound different. The committed recording is the one that
was tested.
Run as: python -m ops.training.make_recording
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from .augment import make_fan, quantise
from .synthesize import trim
from .voices import RATE, Samples, Voice, speak

LEAD_S: Final = 1.0
"""Time before the first sentence (s)."""

SPEECH_RMS: Final = 0.09
"""Level of every sentence, of full scale: -21 dBFS, an ordinary recording."""

ROOM_RMS: Final = 0.0002
"""Level of the room between sentences: -74 dBFS."""

FAN_RMS: Final = 0.001
"""Level of the fan: 39 dB below the speech."""

FAN_MARGIN_S: Final = 0.9

BURST_PEAK: Final = 0.25
BURST_S: Final = 0.16
"""Length of the burst: a detector takes it for speech, but it is too short to be an utterance."""

SEED: Final = 7


@dataclass(frozen=True)
class Line:
    """One sentence, its voice, and the silence after it (s)."""

    text: str
    voice: Voice
    pause_s: float


@dataclass(frozen=True)
class Spoken:
    """A sentence in the recording. Times are in seconds from the start."""

    text: str
    start_s: float
    end_s: float
    voice: str


@dataclass(frozen=True)
class Noise:
    """A noise in the recording. Times are in seconds from the start."""

    kind: str
    start_s: float
    end_s: float


RMS: Final = Voice("flite", "rms")
BELINDA: Final = Voice("espeak", "en-us+belinda")
ANDY: Final = Voice("espeak", "en-us+Andy")

CONVERSATION: Final = (
    Line("Hello, please tell me a joke.", RMS, 1.6),
    Line("That was funny.", BELINDA, 1.5),
    Line("What is the weather like today?", RMS, 1.7),
    Line("Turn on the kitchen lights.", BELINDA, 3.2),
    Line("Set a timer for ten minutes.", ANDY, 1.6),
    Line("Remind me to call my mother tomorrow.", BELINDA, 1.6),
    Line("Tell me a story about a robot.", RMS, 1.5),
    Line("What time is it?", ANDY, 1.6),
    Line("Thank you very much.", RMS, 1.5),
)

BURST_AFTER: Final = 3
"""Index of the sentence with the burst in the middle of the pause after it."""

FAN_UNDER: Final = 6
"""Index of the sentence during which the fan runs. It also runs FAN_MARGIN_S before and after."""


def main() -> None:
    folder = Path(__file__).parents[1] / "demo" / "recording"
    samples, spoken, noises = make_conversation(np.random.default_rng(SEED))
    soundfile.write(folder / "conversation.flac", samples, RATE, subtype="PCM_16")
    description = {
        "rate": RATE,
        "duration_s": round(len(samples) / RATE, 3),
        "sentences": [asdict(one) for one in spoken],
        "noises": [asdict(one) for one in noises],
    }
    (folder / "conversation.json").write_text(json.dumps(description, indent=2) + "\n")
    print(f"{len(samples) / RATE:.1f} s, {len(spoken)} sentences")


def make_conversation(rng: np.random.Generator) -> tuple[Samples, list[Spoken], list[Noise]]:
    """Make the samples of the recording (16 kHz mono), and the list of what is in it."""
    clips = [_set_level(trim(speak(line.text, line.voice))) for line in CONVERSATION]
    spoken: list[Spoken] = []
    at = LEAD_S
    for line, clip in zip(CONVERSATION, clips, strict=True):
        end = at + len(clip) / RATE
        spoken.append(Spoken(line.text, round(at, 3), round(end, 3), str(line.voice)))
        at = end + line.pause_s
    samples = ROOM_RMS * rng.standard_normal(int(at * RATE)).astype(np.float32)
    for place, clip in zip(spoken, clips, strict=True):
        _add(samples, clip, place.start_s)
    middle = spoken[BURST_AFTER].end_s + CONVERSATION[BURST_AFTER].pause_s / 2
    burst = Noise("click", round(middle, 3), round(middle + BURST_S, 3))
    _add(samples, make_cough(rng), burst.start_s)
    under = spoken[FAN_UNDER]
    swell = Noise(
        "fan", round(under.start_s - FAN_MARGIN_S, 3), round(under.end_s + FAN_MARGIN_S, 3)
    )
    _add(samples, _fade(make_fan(rng), swell.end_s - swell.start_s), swell.start_s)
    return quantise(samples), spoken, [burst, swell]


def make_cough(rng: np.random.Generator) -> Samples:
    """Make a short burst like a voice: tones and noise that pulse at 120 Hz."""
    t = np.arange(int(BURST_S * RATE)) / RATE
    pulses = 0.5 + 0.5 * np.cos(2 * np.pi * 120 * t)
    tones = sum(np.sin(2 * np.pi * hz * t + rng.uniform(0, 6.3)) for hz in (240, 600, 720, 1320))
    burst = (tones + rng.standard_normal(len(t))) * pulses * np.hanning(len(t)) ** 0.5
    return np.asarray(burst * (BURST_PEAK / np.abs(burst).max()), dtype=np.float32)


def _set_level(clip: Samples) -> Samples:
    return clip * np.float32(SPEECH_RMS / np.sqrt(np.mean(clip**2)))


def _fade(noise: Samples, length_s: float) -> Samples:
    cut = noise[: int(length_s * RATE)] * np.float32(FAN_RMS)
    ramp = np.linspace(0, 1, RATE, dtype=np.float32)
    cut[: len(ramp)] *= ramp
    cut[-len(ramp) :] *= ramp[::-1]
    return cut


def _add(samples: Samples, part: Samples, start_s: float) -> None:
    start = round(start_s * RATE)
    samples[start : start + len(part)] += part


if __name__ == "__main__":
    main()
