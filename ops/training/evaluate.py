"""Let the exported model transcribe voices that it has never heard.

It prints a Markdown table with a row for each group of voices. The exit status is 1 if fewer than
REQUIRED of all sentences are exact, without case and punctuation. It needs faster-whisper and the
speech engines, but not torch and no network.
Run as: python -m ops.training.evaluate --model workers/stt/demo_model
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"

from faster_whisper import WhisperModel

from .augment import (
    SNR_DB,
    make_coloured_noise,
    make_fan,
    make_hum,
    make_noise_bank,
    make_sound_without_speech,
    quantise,
    utterance,
)
from .grammar import Sentences, normalise, pick, sentences
from .synthesize import trim
from .voices import RATE, Samples, Voice, speak, unseen_voices

REQUIRED: Final = 0.97
"""The share of sentences that must be exact, over all groups of unseen voices."""

SILENT_CLIPS: Final = 20


@dataclass(frozen=True)
class Clip:
    """A sentence, and its audio at 16 kHz mono."""

    text: str
    samples: Samples


@dataclass
class Score:
    """The counts of one group."""

    clips: int = 0
    exact: int = 0
    words: int = 0
    wrong_words: int = 0

    def add(self, spoken: str, heard: str) -> bool:
        """Count a sentence; return whether the transcript is exact."""
        wanted, got = normalise(spoken).split(), normalise(heard).split()
        self.clips += 1
        self.exact += wanted == got
        self.words += len(wanted)
        self.wrong_words += count_word_errors(wanted, got)
        return wanted == got

    def plus(self, other: Score) -> Score:
        return Score(
            self.clips + other.clips,
            self.exact + other.exact,
            self.words + other.words,
            self.wrong_words + other.wrong_words,
        )

    def row(self, name: str) -> str:
        exact = 100 * self.exact / self.clips
        wer = 100 * self.wrong_words / max(1, self.words)
        return f"| {name} | {self.clips} | {exact:.1f} % | {wer:.1f} % |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=30, help="clips in each group")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--without-timestamps", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="print every wrong transcript")
    options = parser.parse_args()
    model = WhisperModel(
        str(options.model), device="cpu", compute_type="int8", cpu_threads=options.threads
    )

    def listen(samples: Samples) -> str:
        segments, _ = model.transcribe(
            samples,
            language="en",
            beam_size=options.beam,
            condition_on_previous_text=False,
            without_timestamps=options.without_timestamps,
        )
        return " ".join(segment.text.strip() for segment in segments)

    print(f"beam {options.beam}, without_timestamps={options.without_timestamps}\n")
    print("| voices | clips | sentences exact | word errors |\n|---|---|---|---|")
    total = Score()
    for name, clips in _groups(options.clips, options.seed).items():
        score = Score()
        for clip in clips:
            heard = listen(clip.samples)
            if not score.add(clip.text, heard) and options.verbose:
                print(f"    {clip.text!r} -> {heard!r}")
        print(score.row(name), flush=True)
        total = total.plus(score)
    print(total.row("**all**"))
    empty = sum(listen(samples) == "" for samples in _silence(options.seed))
    print(f"\nSilence, noise, hum, clicks: empty text for {empty} of {SILENT_CLIPS}.")
    if total.exact < REQUIRED * total.clips:
        sys.exit(f"fewer than {REQUIRED:.0%} of the sentences are exact")


def _groups(count: int, seed: int) -> dict[str, list[Clip]]:
    """Make `count` clips of each group: first clean ones, then the same voices in noise."""
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    voices = unseen_voices()
    everyone = [voice for group in voices.values() for voice in group]
    # one voice of each kind, so that the many variants of espeak-ng do not count more
    engines = [random.Random(seed).choice(group) for group in voices.values()]
    grammar = sentences()
    short = [g for g in grammar if "{" not in g.template and len(g.template.split()) <= 2]
    made = {name: _say(group, count, grammar, rng) for name, group in voices.items()}
    made["all of these, short phrases"] = _say(engines, count, short, rng)
    combinations = [g for g in grammar if g.held_out]
    made["all of these, unseen combinations"] = _say(
        engines, count, combinations, rng, held_out=True
    )
    bank = make_noise_bank(noise)
    made["all of these, 15 dB of noise"] = [
        _add_noise(clip, bank, noise) for clip in _say(engines, count, grammar, rng)
    ]
    made[f"all of these, as cut from a room, down to {SNR_DB[0]:.0f} dB"] = [
        Clip(clip.text, utterance(clip.samples, bank, noise).samples)
        for clip in _say(everyone, count, grammar, rng)
    ]
    return made


def _say(
    voices: list[Voice] | tuple[Voice, ...],
    count: int,
    grammar: list[Sentences],
    rng: random.Random,
    *,
    held_out: bool = False,
) -> list[Clip]:
    clips = []
    for i in range(count):
        text = pick(grammar, rng, held_out=held_out)
        clip = trim(speak(text, voices[i % len(voices)]))
        silence = np.zeros(int(0.3 * RATE), dtype=np.float32)
        clips.append(Clip(text, quantise(np.concatenate([silence, clip, silence]))))
    return clips


def _add_noise(clip: Clip, bank: list[Samples], rng: np.random.Generator) -> Clip:
    noise = bank[rng.integers(len(bank))][: len(clip.samples)]
    level = np.sqrt(np.mean(clip.samples**2)) * 10 ** (-15 / 20)
    return Clip(clip.text, quantise(0.7 * (clip.samples + level * noise)))


def _silence(seed: int) -> list[Samples]:
    rng = np.random.default_rng(seed)
    bank = [
        make_coloured_noise(rng, 0),
        make_coloured_noise(rng, 0.5),
        make_hum(rng),
        make_fan(rng),
    ]
    zeros = np.zeros(2 * RATE, dtype=np.float32)
    return [zeros, *(make_sound_without_speech(bank, rng) for _ in range(SILENT_CLIPS - 1))]


def count_word_errors(wanted: list[str], got: list[str]) -> int:
    """Count word errors: the Levenshtein distance in words."""
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1]


if __name__ == "__main__":
    main()
