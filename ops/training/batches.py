"""An endless stream of augmented training batches out of the shards of clips."""

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

from .augment import babble, noise_bank, utterance, without_speech
from .grammar import normalise, sentences
from .tokenizer import TIMESTAMP_STEP_S, Ids, ids
from .voices import RATE, Samples

POOL: Final = 8
"""Batches made at once and sorted by length, so that a batch pads little."""

FREQUENT: Final = 20
"""Clips of one sentence from which on it counts as frequent."""

HARD_FROM_STEP: Final = 7000
"""Clean clips come first, and noise and rooms by and by up to this step: the
alignment starts late, or never, on hard audio alone."""

HARDEST: Final = 0.8
"""Hardness in the end, see `augment.utterance`: clean clips stay among the rest."""

USES: Final = 3
"""Batches that an augmented clip is used in, on average, each time with another
mask: augmenting costs as much as a third of a training step."""

KEPT: Final = 2000
"""Augmented clips kept to draw batches from."""

NO_SPEECH_SHARE: Final = 0.04
TWO_SENTENCES_SHARE: Final = 0.06
TIMESTAMPS_SHARE: Final = 0.4

BABBLES: Final = 4
"""Noises of many voices in the bank, beside 16 others."""

CROWD_CLIPS: Final = 24

FRAMES_STEP: Final = 40
TOKENS_STEP: Final = 4
"""Batches come in few sizes, since PyTorch's kernels are compiled for each anew."""

GRID_S: Final = 0.2
"""Timestamps are rounded outwards to this, seconds: finer ones cannot be told
from the audio, and their spread would look like doubt in the average
log-probability that faster-whisper judges by."""

CHARACTERS: Final = " abcdefghijklmnopqrstuvwxyz'"
"""What the CTC head spells; 0 is its blank, so the characters start at 1."""

HOP: Final = 160
WINDOW: Final = 400
IGNORED: Final = -100

_EXTRACTOR: Final = FeatureExtractor()
_HANN: Final = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_FILTERS: Final = torch.from_numpy(_EXTRACTOR.mel_filters.astype(np.float32))


@dataclass(frozen=True)
class Example:
    """Features (80, frames) of one utterance, its tokens and its spelling."""

    mel: npt.NDArray[np.float32]
    inputs: list[int]
    labels: list[int]
    characters: list[int]


@dataclass(frozen=True)
class Batch:
    """Tensors for one step; `characters` are concatenated, as CTC loss takes them."""

    mel: Tensor
    inputs: Tensor
    labels: Tensor
    characters: Tensor
    positions: Tensor
    spelled: Tensor

    def on(self, device: torch.device) -> Batch:
        """The same there; the lengths stay on the CPU, where CTC loss wants them."""
        return replace(
            self,
            mel=self.mel.to(device, non_blocking=True),
            inputs=self.inputs.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            characters=self.characters.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """What the loader calls for a GPU: a copy that can be sent while it computes."""
        return Batch(*(getattr(self, field.name).pin_memory() for field in fields(self)))


def log_mel(samples: Samples) -> npt.NDArray[np.float32]:
    """What faster-whisper's FeatureExtractor gives for a clip, but in float32."""
    padded = np.pad(np.pad(samples, (0, HOP)), WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectrum = scipy.fft.rfft(frames * _HANN, axis=1)[:-1]
    power = spectrum.real**2 + spectrum.imag**2
    # torch rather than numpy multiplies: BLAS's own threads would starve training
    mel = np.log10(np.maximum((_FILTERS @ torch.from_numpy(power.T)).numpy(), 1e-10))
    scaled: npt.NDArray[np.float32] = (np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
    return scaled


def masked(mel: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """SpecAugment: two bands of bins and a short span of time flattened."""
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
    """The clips of all the shards that are in the grammar; `refresh` finds new ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: list[tuple[npt.NDArray[np.int16], list[dict[str, object]]]] = []
        self._counts: Counter[str] = Counter()
        self._texts = {text for group in sentences() for text in group.train}
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self._folder.glob("*.json"))[len(self._shards) :]:
            samples = np.load(path.with_suffix(".npy"), mmap_mode="r")
            index = [c for c in json.loads(path.read_text()) if c["text"] in self._texts]
            self._shards.append((samples, index))
            self._counts.update(str(clip["text"]) for clip in self._shards[-1][1])

    def draw(self, rng: np.random.Generator) -> tuple[Samples, str]:
        """A random clip and its text; frequent short phrases are passed over at times."""
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
    """Endless; each start draws its own random numbers. `step` sets the hardness."""

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
            bank = noise_bank(rng, each=2)
            bank += [_crowd(clips, rng) for _ in range(BABBLES)]
            for _ in range(20):
                hardness = HARDEST * min(1.0, self._step / HARD_FROM_STEP)
                kept += [
                    _example(clips, bank, tokenizer, special, rng, hardness)
                    for _ in range(size // USES)
                ]
                del kept[:-KEPT]
                drawn = rng.choice(len(kept), size, replace=len(kept) < size)
                pool = [_masked(kept[i], rng, hardness) for i in drawn]
                pool.sort(key=lambda example: example.mel.shape[1])
                self._step += POOL * processes
                for i in rng.permutation(POOL):
                    yield collate(pool[i * self._batch : (i + 1) * self._batch])


def _crowd(clips: Clips, rng: np.random.Generator) -> Samples:
    return babble([clips.draw(rng)[0] for _ in range(CROWD_CLIPS)], rng)


def _masked(example: Example, rng: np.random.Generator, hardness: float) -> Example:
    if not example.characters or rng.random() > 0.6 * hardness:
        return example
    return replace(example, mel=masked(example.mel, rng))


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
        mel = log_mel(without_speech(bank, rng))
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
        start = _stamp(math.floor(heard.start_s / GRID_S), special)
        end = _stamp(math.ceil(heard.end_s / GRID_S), special)
        labels = [start, *words, end, special.end]
        inputs = [special.start, *labels[:-1]]
    else:
        labels = [special.no_timestamps, *words, special.end]
        inputs = [special.start, *labels[:-1]]
    letters = [CHARACTERS.index(c) + 1 for c in normalise(text)]
    return Example(mel, inputs, labels, letters)


def _stamp(cells: int, special: Ids) -> int:
    return special.first_timestamp + round(cells * GRID_S / TIMESTAMP_STEP_S)


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


def collate(examples: list[Example]) -> Batch:
    """Padded with zeros in feature space, as faster-whisper pads to 30 s."""
    frames = _up(max(example.mel.shape[1] for example in examples), FRAMES_STEP)
    length = _up(max(len(example.inputs) for example in examples), TOKENS_STEP)
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
