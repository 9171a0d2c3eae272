"""The stream of training batches: it takes clips from the shards and augments them, without end."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from .augment import babble, make_noise_bank, make_sound_without_speech, utterance
from .grammar import normalise, sentences
from .tokenizer import TIMESTAMP_STEP_S, Ids, ids
from .voices import RATE, Samples

POOL: Final = 8
"""How many batches are made together, and sorted by length, so that they need little padding."""

FREQUENT: Final = 20
"""A sentence with more clips than this is frequent, and is drawn less often."""

HARD_FROM_STEP: Final = 7000
"""The first clips are clean. Up to this step there is more and more noise, and more rooms. If all
audio were hard from the beginning, the alignment would start late or never."""

HARDEST: Final = 0.8
"""The hardness at the end (see `augment.utterance`): some clips stay clean."""

USES: Final = 3
"""In how many batches an augmented clip is used on average, each time with another mask. To augment
a clip for each use would take a third of the time of a training step."""

KEPT: Final = 2000
"""How many augmented clips are kept, from which batches are drawn."""

NO_SPEECH_SHARE: Final = 0.04
TWO_SENTENCES_SHARE: Final = 0.06
TIMESTAMPS_SHARE: Final = 0.4

BABBLES: Final = 4
"""How many noises of the bank are made of many voices. There are 16 others."""

CROWD_CLIPS: Final = 24

FRAMES_STEP: Final = 40
TOKENS_STEP: Final = 4
"""Sizes are rounded up to these steps, because PyTorch compiles its kernels for each size."""

GRID_S: Final = 0.2
"""Timestamps are rounded outwards to multiples of this (s). The audio does not show them more
exactly. Their spread would lower the average log probability, by which faster-whisper decides."""

CHARACTERS: Final = " abcdefghijklmnopqrstuvwxyz'"
"""The characters that the CTC head can spell. They have the numbers from 1, as 0 is the blank."""

HOP: Final = 160
WINDOW: Final = 400
IGNORED: Final = -100

_EXTRACTOR: Final = FeatureExtractor()
_HANN: Final = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_FILTERS: Final = torch.from_numpy(_EXTRACTOR.mel_filters.astype(np.float32))


@dataclass(frozen=True)
class Example:
    """One utterance: its features (80, frames), its tokens and its spelling."""

    mel: npt.NDArray[np.float32]
    inputs: list[int]
    labels: list[int]
    characters: list[int]


@dataclass(frozen=True)
class Batch:
    """The tensors for one step. The `characters` are concatenated, as the CTC loss takes them."""

    mel: Tensor
    inputs: Tensor
    labels: Tensor
    characters: Tensor
    positions: Tensor
    spelled: Tensor

    def on(self, device: torch.device) -> Batch:
        """Copy the batch to a device. The lengths stay on the CPU, as the CTC loss needs them."""
        return replace(
            self,
            mel=self.mel.to(device, non_blocking=True),
            inputs=self.inputs.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            characters=self.characters.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """Copy the batch to pinned memory, from which a GPU reads while it computes."""
        return Batch(*(getattr(self, field.name).pin_memory() for field in fields(self)))


def log_mel(samples: Samples) -> npt.NDArray[np.float32]:
    """Compute the features of a clip like faster-whisper's FeatureExtractor, but in float32."""
    padded = np.pad(np.pad(samples, (0, HOP)), WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectrum = scipy.fft.rfft(frames * _HANN, axis=1)[:-1]
    power = spectrum.real**2 + spectrum.imag**2
    # torch multiplies, because the threads of numpy's BLAS would slow the training down
    mel = np.log10(np.maximum((_FILTERS @ torch.from_numpy(power.T)).numpy(), 1e-10))
    scaled: npt.NDArray[np.float32] = (np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
    return scaled


def mask_bands(mel: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Flatten two bands of bins and a short span of time (SpecAugment)."""
    mel = mel.copy()
    fill = float(mel.mean())
    for _ in range(2):
        width = int(rng.integers(0, 10))
        at = int(rng.integers(0, 80 - width))
        mel[at : at + width] = fill
    width = int(rng.integers(0, 8))
    at = int(rng.integers(0, max(1, mel.shape[1] - width)))
    mel[:, at : at + width] = fill
    return mel


class Clips:
    """The clips of all shards whose sentence is in the grammar."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: list[tuple[npt.NDArray[np.int16], list[dict[str, object]]]] = []
        self._counts: Counter[str] = Counter()
        self._texts = {text for group in sentences() for text in group.train}
        self.refresh()

    def refresh(self) -> None:
        """Read the shards that are new."""
        for path in sorted(self._folder.glob("*.json"))[len(self._shards) :]:
            samples = np.load(path.with_suffix(".npy"), mmap_mode="r")
            index = [c for c in json.loads(path.read_text()) if c["text"] in self._texts]
            self._shards.append((samples, index))
            self._counts.update(str(clip["text"]) for clip in self._shards[-1][1])

    def draw(self, rng: np.random.Generator) -> tuple[Samples, str]:
        """Draw a random clip and its text. Frequent sentences are drawn less often."""
        while True:
            samples, index = self._shards[rng.integers(len(self._shards))]
            clip = index[rng.integers(len(index))]
            if rng.random() < (FREQUENT / self._counts[str(clip["text"])]) ** 0.5:
                break
        start, end = int(str(clip["start"])), int(str(clip["end"]))
        return np.asarray(samples[start:end] / np.float32(32768), dtype=np.float32), str(
            clip["text"]
        )


class Batches(IterableDataset[Batch]):
    """A stream without end. Each start draws new random numbers. `step` decides the hardness."""

    def __init__(self, folder: Path, tokenizer_json: str, step: int, batch: int) -> None:
        self._folder = folder
        self._step = step
        self._batch = batch
        self._tokenizer_json = tokenizer_json

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        rng = np.random.default_rng()
        process = get_worker_info()
        processes = process.num_workers if process else 1
        size = POOL * self._batch
        tokenizer = Tokenizer.from_str(self._tokenizer_json)
        special = ids(tokenizer)
        clips = Clips(self._folder)
        kept: list[Example] = []
        while True:
            clips.refresh()
            bank = make_noise_bank(rng, each=2)
            bank += [_make_babble(clips, rng) for _ in range(BABBLES)]
            for _ in range(20):
                hardness = HARDEST * min(1.0, self._step / HARD_FROM_STEP)
                kept += [
                    _example(clips, bank, tokenizer, special, rng, hardness)
                    for _ in range(size // USES)
                ]
                del kept[:-KEPT]
                drawn = rng.choice(len(kept), size, replace=len(kept) < size)
                pool = [_mask(kept[i], rng, hardness) for i in drawn]
                pool.sort(key=lambda example: example.mel.shape[1])
                self._step += POOL * processes
                for i in rng.permutation(POOL):
                    yield collate(pool[i * self._batch : (i + 1) * self._batch])


def _make_babble(clips: Clips, rng: np.random.Generator) -> Samples:
    return babble([clips.draw(rng)[0] for _ in range(CROWD_CLIPS)], rng)


def _mask(example: Example, rng: np.random.Generator, hardness: float) -> Example:
    if not example.characters or rng.random() > 0.6 * hardness:
        return example
    return replace(example, mel=mask_bands(example.mel, rng))


def _example(
    clips: Clips,
    bank: list[Samples],
    tokenizer: Tokenizer,
    special: Ids,
    rng: np.random.Generator,
    hardness: float,
) -> Example:
    timed = rng.random() < TIMESTAMPS_SHARE
    if rng.random() < NO_SPEECH_SHARE:
        mel = log_mel(make_sound_without_speech(bank, rng))
        first = special.first_timestamp if timed else special.no_timestamps
        return Example(mel, [special.start, first], [special.no_speech, special.end], [])
    clip, text = clips.draw(rng)
    if rng.random() < TWO_SENTENCES_SHARE * hardness:
        second, more = clips.draw(rng)
        gap = np.zeros(int(RATE * rng.uniform(0.15, 0.9)), dtype=np.float32)
        clip, text = np.concatenate([clip, gap, second]), f"{text} {more}"
    heard = utterance(clip, bank, rng, hardness)
    mel = log_mel(heard.samples)
    words = tokenizer.encode(" " + text, add_special_tokens=False).ids
    if timed:
        start = _timestamp(math.floor(heard.start_s / GRID_S), special)
        end = _timestamp(math.ceil(heard.end_s / GRID_S), special)
        labels = [start, *words, end, special.end]
        inputs = [special.start, *labels[:-1]]
    else:
        labels = [special.no_timestamps, *words, special.end]
        inputs = [special.start, *labels[:-1]]
    letters = [CHARACTERS.index(c) + 1 for c in normalise(text)]
    return Example(mel, inputs, labels, letters)


def _timestamp(cells: int, special: Ids) -> int:
    return special.first_timestamp + round(cells * GRID_S / TIMESTAMP_STEP_S)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def collate(examples: list[Example]) -> Batch:
    """Make a batch of examples. Features are padded with zeros, as faster-whisper does to 30 s."""
    frames = _round_up(max(example.mel.shape[1] for example in examples), FRAMES_STEP)
    length = _round_up(max(len(example.inputs) for example in examples), TOKENS_STEP)
    mel = np.zeros((len(examples), 80, frames), dtype=np.float32)
    inputs = np.zeros((len(examples), length), dtype=np.int64)
    labels = np.full((len(examples), length), IGNORED, dtype=np.int64)
    for row, example in enumerate(examples):
        mel[row, :, : example.mel.shape[1]] = example.mel
        inputs[row, : len(example.inputs)] = example.inputs
        labels[row, : len(example.labels)] = example.labels
    return Batch(
        torch.from_numpy(mel),
        torch.from_numpy(inputs),
        torch.from_numpy(labels),
        torch.tensor([c for example in examples for c in example.characters]),
        torch.tensor([(example.mel.shape[1] + 1) // 2 for example in examples]),
        torch.tensor([len(example.characters) for example in examples]),
    )
