"""A small Whisper in PyTorch, which is trained on short windows.

Whisper always sees 30 s: 1,500 encoder positions, most of which are padding. Here a batch has only
its own length T, and PAD_SAMPLES positions drawn from the padding. Each of these stands for
(1500 - T) / PAD_SAMPLES positions. An attention bias, the logarithm of that number, gives them this
weight. What the network learns in this way is right for the full window too.
"""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

POSITIONS: Final = 1500
"""Encoder positions of the window of 30 s, 20 ms each."""

DECODER_POSITIONS: Final = 448
PAD_SAMPLES: Final = 8
MEL_BINS: Final = 80

WIDTH: Final = 128
HEADS: Final = 4
ENCODER_LAYERS: Final = 4
DECODER_LAYERS: Final = 2
FEED_FORWARD: Final = 512
DROPOUT: Final = 0.0


def make_sinusoids(length: int) -> Tensor:
    """Make Whisper's position encodings, length x WIDTH."""
    step = math.log(10_000) / (WIDTH // 2 - 1)
    rates = torch.exp(-step * torch.arange(WIDTH // 2))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    """Multi-head attention. For self-attention, `memory` is None."""

    def __init__(self, *, cross: bool) -> None:
        super().__init__()
        self.cross = cross
        if cross:
            self.query = nn.Linear(WIDTH, WIDTH)
            self.key_value = nn.Linear(WIDTH, 2 * WIDTH)
        else:
            self.fused = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(
        self, x: Tensor, memory: Tensor | None, bias: Tensor | None, causal: bool = False
    ) -> Tensor:
        if memory is None:
            query, key, value = self.fused(x).chunk(3, dim=-1)
        else:
            query = self.query(x)
            key, value = self.key_value(memory).chunk(2, dim=-1)
        mixed = _attend(_split(query), _split(key), _split(value), bias, causal=causal)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


def _split(x: Tensor) -> Tensor:
    return x.view(*x.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, *, causal: bool
) -> Tensor:
    """Compute attention step by step: PyTorch's fused one is half as fast in bfloat16 on a CPU."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = scores + scores.new_full((query.shape[2],) * 2, -1e4).triu(1)
    mixed: Tensor = scores.softmax(-1).to(value.dtype) @ value
    return mixed


class Layer(nn.Module):
    """One pre-norm transformer layer, with cross attention in the decoder."""

    def __init__(self, *, cross: bool) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(WIDTH)
        self.self_attention = Attention(cross=False)
        if cross:
            self.cross_norm = nn.LayerNorm(WIDTH)
            self.cross_attention = Attention(cross=True)
        self.cross = cross
        self.ffn_norm = nn.LayerNorm(WIDTH)
        self.ffn_in = nn.Linear(WIDTH, FEED_FORWARD)
        self.ffn_out = nn.Linear(FEED_FORWARD, WIDTH)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, bias: Tensor, memory: Tensor | None = None) -> Tensor:
        """Apply the layer. `bias` is always for the keys of the encoder's output."""
        own = None if self.cross else bias
        x = x + self.drop(self.self_attention(self.self_norm(x), None, own, causal=self.cross))
        if memory is not None:
            x = x + self.drop(self.cross_attention(self.cross_norm(x), memory, bias))
        hidden = functional.gelu(self.ffn_in(self.ffn_norm(x)))
        out: Tensor = x + self.drop(self.ffn_out(hidden))
        return out


class Whisper(nn.Module):
    """Encoder, decoder, and a CTC head for characters, which only the training uses."""

    encoder_positions: Tensor
    decoder_positions: Tensor

    def __init__(self, vocabulary: int, characters: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MEL_BINS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.encoder = nn.ModuleList(Layer(cross=False) for _ in range(ENCODER_LAYERS))
        self.encoder_norm = nn.LayerNorm(WIDTH)
        self.characters = nn.Linear(WIDTH, characters)
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.decoder = nn.ModuleList(Layer(cross=True) for _ in range(DECODER_LAYERS))
        self.decoder_norm = nn.LayerNorm(WIDTH)
        self.register_buffer("encoder_positions", make_sinusoids(POSITIONS))
        self.register_buffer("decoder_positions", make_sinusoids(DECODER_POSITIONS))

    def forward(self, mel: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Token logits and CTC character logits.

        mel: (batch, 80, frames), zero after each clip's end as faster-whisper
        pads; tokens: (batch, length), the decoder's input. The CTC logits are
        (batch, positions, characters), positions = frames / 2 rounded up.
        """
        memory, bias, positions = self._encode(mel)
        hidden = self.embedding(tokens) + self.decoder_positions[: tokens.shape[1]]
        for layer in self.decoder:
            hidden = layer(hidden, bias, memory)
        logits = functional.linear(self.decoder_norm(hidden), self.embedding.weight)
        return logits, self.characters(memory[:, :positions])

    def _encode(self, mel: Tensor) -> tuple[Tensor, Tensor, int]:
        x = functional.pad(mel, (0, 8 + mel.shape[2] % 2))
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(x)))).transpose(1, 2)
        padding = x[:, -2:-1]
        x = x[:, :-2]
        positions = x.shape[1]
        rest = POSITIONS - positions
        sampled = positions + torch.randperm(rest, device=x.device)[:PAD_SAMPLES]
        places = torch.cat([torch.arange(positions, device=x.device), sampled])
        x = torch.cat([x, padding.expand(-1, PAD_SAMPLES, -1)], dim=1)
        x = x + self.encoder_positions[places]
        bias = x.new_zeros(positions + PAD_SAMPLES)
        bias[positions:] = math.log(rest / PAD_SAMPLES)
        bias = bias[None, None, None, :]
        for layer in self.encoder:
            x = layer(x, bias)
        return self.encoder_norm(x), bias, positions
