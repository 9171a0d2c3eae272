"""Speak random sentences of the grammar, and write them as shards of training clips.

A shard is two files. `N.npy` holds the clips one after the other, as 16 bit samples at 16 kHz.
`N.json` says where each clip starts and ends, and what its text is.
Run as: python -m ops.training.synthesize --work DIR --shards 60
"""

from __future__ import annotations

import argparse
import json
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from .grammar import pick, sentences
from .voices import RATE, speak_all, training_voice

CLIPS_A_SHARD: Final = 600
CLIPS_A_VOICE: Final = 6
"""How many sentences a random voice speaks, before the next voice is drawn."""

LONGEST_S: Final = 7.0
"""Longer clips are dropped, because they would slow the training down."""

PAUSED: Final = 0.12
"""The share of clips in which the engine makes a pause after a random word."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder outside the repository")
    parser.add_argument("--shards", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="number of the first shard")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    folder = options.work / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(options.first, options.first + options.shards)
    missing = [n for n in numbers if not (folder / f"{n:04d}.json").exists()]
    with ProcessPoolExecutor(options.processes) as pool:
        for number in pool.map(make_shard, [folder] * len(missing), missing):
            print(f"shard {number} done", flush=True)


def make_shard(folder: Path, number: int) -> int:
    """Write shard `number`. It is the same on every machine with the same engines."""
    rng = random.Random(number)
    groups = sentences()
    clips: list[np.ndarray] = []
    index: list[dict[str, object]] = []
    start = 0
    while len(clips) < CLIPS_A_SHARD:
        voice = training_voice(rng)
        texts = [pick(groups, rng) for _ in range(CLIPS_A_VOICE)]
        spoken = [insert_comma(text, rng) if rng.random() < PAUSED else text for text in texts]
        for text, samples in zip(texts, speak_all(spoken, voice), strict=True):
            if not RATE // 5 < len(samples) < LONGEST_S * RATE:
                continue
            clip = trim(samples)
            clips.append(np.round(clip / max(1e-4, np.abs(clip).max()) * 30_000).astype("<i2"))
            index.append(
                {"text": text, "voice": str(voice), "start": start, "end": start + len(clip)}
            )
            start += len(clip)
    np.save(folder / f"{number:04d}.npy", np.concatenate(clips))
    partial = folder / f"{number:04d}.json.part"
    partial.write_text(json.dumps(index))
    partial.rename(folder / f"{number:04d}.json")
    return number


def insert_comma(text: str, rng: random.Random) -> str:
    """Put a comma after a random word of `text`, where every engine makes a pause."""
    words = text.split()
    if len(words) < 2:
        return text
    at = rng.randrange(len(words) - 1)
    words[at] = words[at].rstrip(",") + ","
    return " ".join(words)


def trim(samples: np.ndarray, threshold: float = 0.01) -> np.ndarray:
    """Remove the engine's silence before and after the speech, except for 20 ms."""
    loud = np.flatnonzero(np.abs(samples) > threshold * np.abs(samples).max())
    margin = RATE // 50
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


if __name__ == "__main__":
    main()
