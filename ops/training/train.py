"""Train the demo's Whisper from random weights.

The learning rate rises first, and then falls like a cosine until the last of `--steps`, or until
the end of `--minutes`. A run that was stopped continues at its last checkpoint. The defaults are
right for a CPU. On a GPU the processes that make batches are the limit: use as many as there are
cores, and larger batches.
Run as: python -m ops.training.train --work DIR --steps 11000
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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

PEAK_RATE: Final = 1.5e-3
WARM_UP_STEPS: Final = 300
WEIGHT_DECAY: Final = 0.01
CTC_WEIGHT: Final = 0.5
"""Weight of the spelling loss. Without it the alignment does not start."""

EMA_DECAY: Final = 0.998
PREFETCHED: Final = 16
"""How many batches each process keeps ready."""

CHECKPOINT_EVERY: Final = 250
"""Steps between two checkpoints."""


@dataclass(frozen=True)
class Plan:
    """How long to train, on which device, and how the work is divided."""

    steps: int
    minutes: float
    device: torch.device
    batch: int
    workers: int

    def done(self, step: int, spent_s: float) -> float:
        """Return which part of the run is done, from 0 to 1."""
        return min(1.0, max(step / self.steps, spent_s / 60 / self.minutes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder outside the repository")
    parser.add_argument("--steps", type=int, default=11_000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after these at most")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, default=16, help="utterances in a step")
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    train(
        options.work,
        Plan(options.steps, options.minutes, device, options.batch, options.workers),
    )


def train(work: Path, plan: Plan) -> None:
    """Train until the plan is done, and write checkpoints into `work`."""
    tokenizer_path = work / "tokenizer.json"
    if not tokenizer_path.exists():
        texts = [t for group in sentences() for t in (*group.train, *group.held_out)]
        build(texts).save(str(tokenizer_path))
    tokenizer_json = tokenizer_path.read_text()
    vocabulary = Tokenizer.from_str(tokenizer_json).get_vocab_size(with_added_tokens=True)
    network = Whisper(vocabulary, len(CHARACTERS) + 1).to(plan.device)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))  # type: ignore[no-untyped-call]  # torch ships it so
    optimizer = torch.optim.AdamW(
        network.parameters(), PEAK_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
    )
    step, spent_s = _resume(work, network, average, optimizer)
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters, step {step}", flush=True)
    stream = Batches(work / "clips", tokenizer_json, step, plan.batch)
    batches = DataLoader(
        stream,
        batch_size=None,
        num_workers=plan.workers,
        prefetch_factor=PREFETCHED,
        pin_memory=plan.device.type == "cuda",
    )
    began = time.monotonic() - spent_s
    sums = torch.zeros(2, device=plan.device)
    for batch in batches:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, plan.done(step, time.monotonic() - began))
        losses = _step(network, optimizer, batch.on(plan.device))
        average.update_parameters(network)
        sums += losses
        step += 1
        spent_s = time.monotonic() - began
        if step % 50 == 0:
            words, spelling = (sums / 50).tolist()
            print(
                f"step {step} {spent_s / 60:.1f} min: words {words:.3f} spelling {spelling:.3f}",
                flush=True,
            )
            sums.zero_()
        over = plan.done(step, spent_s) >= 1
        if step % CHECKPOINT_EVERY == 0 or over:
            _save(work, network, average, optimizer, step, spent_s)
        if over:
            break


def rate(step: int, done: float) -> float:
    """Return the learning rate at `step`, when the part `done` of the run is over."""
    falling = 0.5 * (1 + math.cos(math.pi * done))
    return PEAK_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * max(0.01, falling)


def _step(network: Whisper, optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
    """Make one update; return the two losses, of words and of spelling."""
    network.train()
    with torch.autocast(batch.mel.device.type, dtype=torch.bfloat16):
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
    state = torch.load(path, map_location=network.encoder_positions.device, weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["spent_s"])


if __name__ == "__main__":
    main()
