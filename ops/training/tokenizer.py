"""The tokenizer of the model: byte-level BPE with Whisper's special tokens.

The ids have Whisper's order: text, `<|endoftext|>`, the other special tokens, and the 1,501
timestamps from 0.00 to 30.00 s. faster-whisper takes a model with such a small vocabulary for one
that only knows English. So the prompt is only `<|startoftranscript|>` (and `<|notimestamps|>`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

TEXT_TOKENS: Final = 856
"""The most text tokens: the 256 bytes and about 600 merges. So most words are one token."""

END_OF_TEXT: Final = "<|endoftext|>"
START: Final = "<|startoftranscript|>"
NO_SPEECH: Final = "<|nospeech|>"
NO_TIMESTAMPS: Final = "<|notimestamps|>"
SPECIALS: Final = (
    END_OF_TEXT, START, "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", NO_SPEECH, NO_TIMESTAMPS,
)  # fmt: skip

TIMESTAMP_STEP_S: Final = 0.02
TIMESTAMPS: Final = 1501

NEVER_SPLIT: Final = (" -", " '", " ♩")
"""faster-whisper suppresses the first token of each of these (its list of non-speech tokens). If
one were split after its space, the bare space would be suppressed, and all words would run
together. So each is one token."""


@dataclass(frozen=True)
class Ids:
    """The ids of the special tokens that training and export need."""

    end: int
    start: int
    no_speech: int
    no_timestamps: int
    first_timestamp: int


def build(texts: Iterable[str]) -> Tokenizer:
    """Train a tokenizer with `texts`, which are sentences without a space before them."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=TEXT_TOKENS,
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    corpus = [" " + text for text in texts]
    corpus += [piece for piece in NEVER_SPLIT for _ in range(len(corpus))]
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    stamps = (f"<|{i * TIMESTAMP_STEP_S:.2f}|>" for i in range(TIMESTAMPS))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in stamps])
    _check(tokenizer)
    return tokenizer


def ids(tokenizer: Tokenizer) -> Ids:
    names = (END_OF_TEXT, START, NO_SPEECH, NO_TIMESTAMPS, "<|0.00|>")
    numbers = [tokenizer.token_to_id(name) for name in names]
    return Ids(*(number for number in numbers if number is not None))


def tokens_in_order(tokenizer: Tokenizer) -> list[str]:
    """Return the texts of all tokens in the order of their ids, as CTranslate2 takes them."""
    by_id = {number: token for token, number in tokenizer.get_vocab(with_added_tokens=True).items()}
    return [by_id[number] for number in range(len(by_id))]


def bare_space(tokenizer: Tokenizer) -> int:
    (space,) = tokenizer.encode(" ", add_special_tokens=False).ids
    return int(space)


def _check(tokenizer: Tokenizer) -> None:
    space = bare_space(tokenizer)
    for piece in NEVER_SPLIT:
        if tokenizer.encode(piece, add_special_tokens=False).ids[0] == space:
            raise ValueError(f"{piece!r} splits after its space: faster-whisper would suppress it")
