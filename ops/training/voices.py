"""The text-to-speech voices, and which of them the training never hears.

The engines are three open ones of Debian: espeak-ng (formant synthesis, many variants and accents),
flite (diphones and clustergen) and festival (diphones and HTS). Each call runs the engine once, and
returns 16 kHz mono float32 samples between -1 and 1.
"""

from __future__ import annotations

import math
import random
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

RATE: Final = 16_000
"""Sample rate of every clip, Hz: what Whisper's feature extractor expects."""

Samples = npt.NDArray[np.float32]

ESPEAK_ACCENTS: Final = (
    "en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
    "en-us-nyc",
)  # fmt: skip
ESPEAK_UNSEEN_ACCENT: Final = "en-029"

ESPEAK_VARIANTS: Final = (
    "m1", "m2", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f3", "f5", "klatt", "klatt2",
    "klatt3", "klatt5", "klatt6", "Alex", "Alicia", "Andrea", "Annie", "Denis", "Diogo", "Gene",
    "Gene2", "Hugo", "Jacky", "Lee", "Mario", "Michael", "Mike", "adam", "announcer", "anika",
    "antonio", "aunty", "benjamin", "boris", "caleb", "david", "ed", "edward", "edward2",
    "gustave", "iven", "iven2", "iven3", "linda", "marcelo", "max", "michel", "miguel",
    "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby",
    "steph2", "steph3", "victor", "zac", "grandpa", "Henrique",
)  # fmt: skip
ESPEAK_UNSEEN_VARIANTS: Final = ("m5", "f4", "klatt4", "Andy", "belinda", "john", "travis", "steph")

FLITE_VOICES: Final = ("slt", "awb", "kal16", "kal")
FLITE_UNSEEN_VOICE: Final = "rms"

FESTIVAL_VOICES: Final = ("cmu_us_slt_arctic_hts", "kal_diphone")
FESTIVAL_UNSEEN_VOICE: Final = "ked_diphone"


@dataclass(frozen=True)
class Voice:
    """One way to speak a sentence.

    `speed` is relative to the engine's default (1.2 is faster), and `pitch` to that of the voice.
    festival ignores the pitch, and so does flite's kal.
    """

    engine: str
    name: str
    speed: float = 1.0
    pitch: float = 1.0

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}"


def training_voice(rng: random.Random) -> Voice:
    """Choose a random voice of those that the training may hear."""
    engine = rng.choices(("espeak", "flite", "festival"), (0.40, 0.45, 0.15))[0]
    speed = math.exp(rng.uniform(math.log(0.75), math.log(1.35)))
    pitch = math.exp(rng.uniform(math.log(0.75), math.log(1.35)))
    if engine == "espeak":
        name = f"{rng.choice(ESPEAK_ACCENTS)}+{rng.choice(ESPEAK_VARIANTS)}"
    elif engine == "flite":
        name = rng.choices(FLITE_VOICES, (0.4, 0.35, 0.2, 0.05))[0]
    else:
        name = rng.choice(FESTIVAL_VOICES)
    return Voice(engine, name, speed, pitch)


def unseen_voices() -> dict[str, tuple[Voice, ...]]:
    """Return the voices that the training never hears, by their group in the evaluation."""
    variants = tuple(Voice("espeak", f"en-us+{v}") for v in ESPEAK_UNSEEN_VARIANTS)
    accent = tuple(
        Voice("espeak", f"{ESPEAK_UNSEEN_ACCENT}+{v}") for v in ESPEAK_UNSEEN_VARIANTS[:4]
    )
    return {
        "espeak-ng, unseen variants": variants,
        "espeak-ng, unseen accent and variants": accent,
        "espeak-ng, unseen, fast": tuple(Voice(v.engine, v.name, 1.3) for v in variants),
        "espeak-ng, unseen, slow": tuple(Voice(v.engine, v.name, 0.75) for v in variants),
        "flite rms, unseen": (Voice("flite", FLITE_UNSEEN_VOICE),),
        "festival ked, unseen": (Voice("festival", FESTIVAL_UNSEEN_VOICE),),
    }


def speak(text: str, voice: Voice) -> Samples:
    """Speak `text`; return 16 kHz mono, with the engine's silence before and after it.

    Raises subprocess.CalledProcessError if the engine lacks the voice.
    """
    return speak_all([text], voice)[0]


def speak_all(texts: list[str], voice: Voice) -> list[Samples]:
    """Speak several texts. This saves the slow start of festival for each."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.wav" for i in range(len(texts))]
        if voice.engine == "festival":
            _festival(texts, voice, paths)
        else:
            for text, path in zip(texts, paths, strict=True):
                subprocess.run(_command(text, voice, path), check=True, capture_output=True)
        return [_load(path) for path in paths]


def _command(text: str, voice: Voice, path: Path) -> list[str]:
    if voice.engine == "espeak":
        words_a_minute = round(170 * voice.speed)
        pitch = max(0, min(99, round(50 + 60 * math.log2(voice.pitch))))
        return ["espeak-ng", "-v", voice.name, "-s", str(words_a_minute), "-p", str(pitch),
                "-w", str(path), text]  # fmt: skip
    f0 = {"slt": 170, "awb": 125, "rms": 95}.get(voice.name, 105) * voice.pitch
    return ["flite", "-voice", voice.name, "--setf", f"duration_stretch={1 / voice.speed:.3f}",
            "--setf", f"int_f0_target_mean={f0:.0f}", "-o", str(path), "-t", text]  # fmt: skip


def _festival(texts: list[str], voice: Voice, paths: list[Path]) -> None:
    lines = [f"(voice_{voice.name})", f"(Parameter.set 'Duration_Stretch {1 / voice.speed:.3f})"]
    for text, path in zip(texts, paths, strict=True):
        quoted = text.replace('"', " ")
        lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{quoted}")) "{path}" \'riff)')
    script = paths[0].with_suffix(".scm")
    script.write_text("\n".join(lines))
    subprocess.run(["festival", "-b", str(script)], check=True, capture_output=True)


def _load(path: Path) -> Samples:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), dtype=np.float32)
