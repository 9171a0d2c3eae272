"""Trains the demo's Whisper from random weights; stops and resumes at will.

The learning rate warms up, then falls on a cosine to nothing at the last of
`--steps`; a run that was stopped goes on from its last checkpoint.
Run as: python -m ops.demo.training.train --work DIR --steps 11000
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as functional
from tokenizers import Tokenizer
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from .batches import CHARACTERS, IGNORED, Batch, Batches
from .grammar import sentences
from .network import Whisper
from .tokenizer import build

PEAK_RATE = 1.5e-3
WARM_UP_STEPS = 300
WEIGHT_DECAY = 0.01
CTC_WEIGHT = 0.5
"""Weight of the spelling loss; without it the alignment does not start."""

EMA_DECAY = 0.998
PREFETCHED = 16
"""Batches that the one loading process keeps ready."""

CHECKPOINT_EVERY = 250
"""Steps between two checkpoints."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder outside the repository")
    parser.add_argument("--steps", type=int, default=11_000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.work, options.steps)


def train(work: Path, steps: int) -> None:
    tokenizer_path = work / "tokenizer.json"
    if not tokenizer_path.exists():
        texts = [t for group in sentences() for t in (*group.train, *group.held_out)]
        build(texts).save(str(tokenizer_path))
    tokenizer_json = tokenizer_path.read_text()
    vocabulary = Tokenizer.from_str(tokenizer_json).get_vocab_size(with_added_tokens=True)
    network = Whisper(vocabulary, len(CHARACTERS) + 1)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))  # type: ignore[no-untyped-call]  # torch ships it so
    optimizer = torch.optim.AdamW(
        network.parameters(), PEAK_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
    )
    step, spent_s = _resume(work, network, average, optimizer)
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters, step {step}", flush=True)
    stream = Batches(work / "clips", tokenizer_json, step)
    batches = DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=PREFETCHED)
    began = time.monotonic() - spent_s
    sums = torch.zeros(2)
    for batch in batches:
        spent_s = time.monotonic() - began
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        losses = _step(network, optimizer, batch)
        average.update_parameters(network)
        sums += losses
        step += 1
        if step % 50 == 0:
            words, spelling = (sums / 50).tolist()
            print(
                f"step {step} {spent_s / 60:.1f} min: words {words:.3f} spelling {spelling:.3f}",
                flush=True,
            )
            sums.zero_()
        if step % CHECKPOINT_EVERY == 0 or step == steps:
            _save(work, network, average, optimizer, step, spent_s)
        if step == steps:
            break


def rate(step: int, steps: int) -> float:
    """Learning rate at `step` of `steps`."""
    falling = 0.5 * (1 + math.cos(math.pi * step / steps))
    return PEAK_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * max(0.01, falling)


def _step(network: Whisper, optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
    """One update; returns the two losses, words then spelling."""
    network.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, spelled = network(batch.mel, batch.inputs)
    words = functional.cross_entropy(
        logits.float().flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED
    )
    spelling = functional.ctc_loss(
        spelled.float().log_softmax(-1).transpose(0, 1),
        batch.characters,
        batch.positions,
        batch.spelled,
        zero_infinity=True,
    )
    optimizer.zero_grad(set_to_none=True)
    (words + CTC_WEIGHT * spelling).backward()  # type: ignore[no-untyped-call]  # torch ships it so
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return torch.stack([words.detach(), spelling.detach()])


def _save(
    work: Path,
    network: Whisper,
    average: AveragedModel,
    optimizer: torch.optim.Optimizer,
    step: int,
    spent_s: float,
) -> None:
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "step": step,
        "spent_s": spent_s,
    }
    partial = work / "checkpoint.pt.part"
    torch.save(state, partial)
    partial.rename(work / "checkpoint.pt")


def _resume(
    work: Path,
    network: Whisper,
    average: AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> tuple[int, float]:
    path = work / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["spent_s"])


if __name__ == "__main__":
    main()
