"""Write the averaged weights as a model folder of CTranslate2: Whisper in int8.

`faster_whisper.WhisperModel(folder)` loads it without a network.
Run as: python -m ops.training.export --work DIR --to workers/stt/demo_model
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Final

import ctranslate2
import numpy as np
import torch
from ctranslate2.specs import common_spec, transformer_spec, whisper_spec
from tokenizers import Tokenizer
from torch import Tensor, nn

from .network import DECODER_LAYERS, ENCODER_LAYERS, HEADS, Attention, Layer, Whisper
from .tokenizer import bare_space, ids, tokens_in_order

SECONDS_OF_WINDOW: Final = 30

ALIGNMENT_HEADS: Final = [(DECODER_LAYERS - 1, head) for head in range(HEADS)]
"""The heads from which CTranslate2's WhisperConfig reads the times of words. The format demands
them; in such a small model they mean little."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder outside the repository")
    parser.add_argument("--to", type=Path, required=True, help="model folder to write")
    options = parser.parse_args()
    export(options.work, options.to)


def export(work: Path, folder: Path) -> None:
    """Write the model folder from the last checkpoint."""
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    spec = make_specification(_averaged_network(work), tokenizer)
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(fresh))
    shutil.copy(work / "tokenizer.json", fresh)
    (fresh / "preprocessor_config.json").write_text(json.dumps(_preprocessor(), indent=2) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    for path in fresh.iterdir():
        path.replace(folder / path.name)
    fresh.rmdir()
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB, CTranslate2 {ctranslate2.__version__}")


def make_specification(network: Whisper, tokenizer: Tokenizer) -> whisper_spec.WhisperSpec:
    """Describe the network for CTranslate2, with the tokenizer and the defaults of decoding."""
    spec = whisper_spec.WhisperSpec(ENCODER_LAYERS, HEADS, DECODER_LAYERS, HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    for target, convolution in ((encoder.conv1, network.conv1), (encoder.conv2, network.conv2)):
        target.weight, target.bias = _array(convolution.weight), _array(convolution.bias)  # type: ignore[arg-type]  # has one
    encoder.position_encodings.encodings = _array(network.encoder_positions)
    _norm(encoder.layer_norm, network.encoder_norm)
    for layer, part in zip(encoder.layer, network.encoder, strict=True):
        _layer(layer, part)
    decoder.embeddings.weight = _array(network.embedding.weight)
    decoder.projection.weight = _array(network.embedding.weight)
    decoder.position_encodings.encodings = _array(network.decoder_positions)
    _norm(decoder.layer_norm, network.decoder_norm)
    for layer, part in zip(decoder.layer, network.decoder, strict=True):
        _layer(layer, part)
    spec.register_vocabulary(tokens_in_order(tokenizer))
    special = ids(tokenizer)
    spec.config.suppress_ids = [special.start, special.no_speech]
    # the bare space, but not the end of text: so the text of silence may be empty
    spec.config.suppress_ids_begin = [bare_space(tokenizer)]
    spec.config.lang_ids = []
    spec.config.alignment_heads = ALIGNMENT_HEADS
    return spec


def _averaged_network(work: Path) -> Whisper:
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    prefix = "module."
    weights = {
        name.removeprefix(prefix): value
        for name, value in state["average"].items()
        if name.startswith(prefix)
    }
    network = Whisper(weights["embedding.weight"].shape[0], weights["characters.weight"].shape[0])
    network.load_state_dict(weights)
    print(f"step {state['step']}, {state['spent_s'] / 60:.0f} min of training")
    return network


def _layer(
    target: transformer_spec.TransformerEncoderLayerSpec
    | transformer_spec.TransformerDecoderLayerSpec,
    part: nn.Module,
) -> None:
    assert isinstance(part, Layer)
    _norm(target.self_attention.layer_norm, part.self_norm)
    _linear(target.self_attention.linear[0], part.self_attention.fused)
    _linear(target.self_attention.linear[1], part.self_attention.out)
    if part.cross:
        cross: Attention = part.cross_attention
        _norm(target.attention.layer_norm, part.cross_norm)
        _linear(target.attention.linear[0], cross.query)
        _linear(target.attention.linear[1], cross.key_value)
        _linear(target.attention.linear[2], cross.out)
    _norm(target.ffn.layer_norm, part.ffn_norm)
    _linear(target.ffn.linear_0, part.ffn_in)
    _linear(target.ffn.linear_1, part.ffn_out)


def _linear(target: common_spec.LinearSpec, part: nn.Linear) -> None:
    target.weight, target.bias = _array(part.weight), _array(part.bias)


def _norm(target: common_spec.LayerNormSpec, part: nn.LayerNorm) -> None:
    target.gamma, target.beta = _array(part.weight), _array(part.bias)


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().float().numpy())


def _preprocessor() -> dict[str, object]:
    """Return the arguments of its FeatureExtractor that faster-whisper reads from the folder."""
    return {
        "feature_size": 80,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "chunk_length": SECONDS_OF_WINDOW,
        "n_fft": 400,
    }


if __name__ == "__main__":
    main()
