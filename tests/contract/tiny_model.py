"""A language model that says nothing sensible, for tests of how a server is asked: made in a second
from a tokenizer, a chat template and a configuration; its weights are random numbers that vLLM
makes up (`--load-format dummy`).

It never ends a reply by itself: the token that would end it is outside of what the model can say.
So each reply is as long as `max_tokens`, as with `ignore_eos`.
"""

import json
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from tests.support.repository import ROOT

VOCABULARY: Final = 2_048
NEVER: Final = "<|never|>"
MARKS: Final = ("<|begin|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
TRAINED_ON: Final = ("README.md", "docs/architecture.md", "docs/guarantees.md", "docs/hearing.md")

TEMPLATE: Final = """\
<|begin|>{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>\
{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"""

# The rule and the words of Mistral 7B Instruct v0.1 and v0.2.
WITHOUT_SYSTEM: Final = """\
{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}\
{% endif %}{% endfor %}"""


def make(folder: Path, *, system_role: bool = True) -> Path:
    """Write the model into `folder`; without `system_role` its template refuses that role."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "config.json", _config())
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": MARKS[0],
            "eos_token": NEVER,
            "clean_up_tokenization_spaces": False,
            "chat_template": TEMPLATE if system_role else WITHOUT_SYSTEM + TEMPLATE,
        },
    )
    return folder


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(MARKS),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        (line for name in TRAINED_ON for line in (ROOT / name).read_text("utf-8").splitlines()),
        trainer,
    )
    assert tokenizer.get_vocab_size() == VOCABULARY, "there is too little text to learn from"
    tokenizer.add_special_tokens([AddedToken(NEVER, special=True)])
    return tokenizer


def _config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 4_096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": VOCABULARY,
        "bos_token_id": 0,
        "eos_token_id": VOCABULARY,
    }


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
