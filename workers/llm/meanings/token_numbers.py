"""The numbers in a refusal of a prompt: the window, the prompt's tokens, the limit of prompts.

A number is the window only where the sentence says so. Others stand there as well: what was asked
for, what is too much, gigabytes, codes.
"""

import re
from dataclasses import dataclass
from typing import Final

from workers.llm.meanings.error_meanings import rate_numbers

LEAST_WINDOW: Final = 16
"""No model has a smaller window; a number below it means something else."""

_NUMBER: Final = r"(\d{1,9})(?!\d|[.,]\d| ?[KMGT]i?B\b| ?bytes)"
_GLUE: Final = r"(?: (?:limit|length|size|window|is|of|only|was|to|at|most|exactly))*[ :=(\[<`'\"]*"

WINDOW: Final = (
    r"n_ctx\W{1,4}" + _NUMBER,  # llama.cpp, LM Studio
    r"\d+ \+ \d+ > " + _NUMBER,  # Anthropic
    r"max_new_tokens` must be <= " + _NUMBER,  # TGI, Together
    r"\(?" + _NUMBER + r"(?: tokens)?\)? maximum context length",  # Mistral
    r"max_model_len\D{0,20}" + _NUMBER,  # vLLM
    r"(?:max_seq_len|maximum (?:model|sequence) length)" + _GLUE + _NUMBER,  # TabbyAPI, vLLM
    r"(?:model token limit|context limit)" + _GLUE + _NUMBER,  # Moonshot
    r"context (?:length|window|size)" + _GLUE + _NUMBER,  # OpenAI and most others
)

PROMPT_LIMIT: Final = (
    r"maximum number of tokens allowed \(?" + _NUMBER,  # Gemini
    r"only supports up to " + _NUMBER,  # Vertex
    r"must have less than " + _NUMBER,  # TGI
    r"max(?:imum)? (?:input|prompt) (?:tokens|length)" + _GLUE + _NUMBER,  # Bedrock, xAI, TensorRT
    r"cannot exceed " + _NUMBER,  # Cohere
    r"(?:configured limit|exceeds the limit) of " + _NUMBER,  # Azure, Copilot
    r"Max size: " + _NUMBER,  # GitHub Models
    r"\d+ tokens > " + _NUMBER + " maximum",  # Anthropic
    r"input length should be \[\d+, ?" + _NUMBER,  # DashScope
    r"more than the maximum of " + _NUMBER,  # AI21
)

PROMPT_TOKENS: Final = (
    r"n_prompt_tokens\W{1,4}" + _NUMBER,  # llama.cpp
    r"n_keep\W{1,4}" + _NUMBER,  # LM Studio
    r"first " + _NUMBER + r" tokens",  # LM Studio
    r"\(" + _NUMBER + r" in (?:the|your) (?:messages|prompt)",  # OpenAI
    _NUMBER + r" `?(?:inputs?|prompt)`? tokens",  # vLLM, TGI
    r"Given: " + _NUMBER,  # TGI
    r"Prompt (?:contains|has) " + _NUMBER,  # Mistral, AI21
    r"(?:count is|token count|token count of|request contains|received|length) \(?" + _NUMBER,
    r"(?:request|input) \(" + _NUMBER + r" tokens\)",  # llama.cpp, SGLang
    r"too long: " + _NUMBER,  # Anthropic, Fireworks
    _NUMBER + r" \+ \d+ > \d+",  # Anthropic
    r"resulted in (?:over )?" + _NUMBER,  # Azure
    r"requested(?: about| tokens|:)? \(?" + _NUMBER + r"(?! (?:output|completion))(?! tokens \()",
)


@dataclass(frozen=True, slots=True)
class TokenNumbers:
    """What a refusal tells in tokens; None is what it does not tell.

    `window` is for prompt and reply together, `prompt_limit` for the prompt alone.
    """

    window: int | None = None
    prompt_limit: int | None = None
    prompt: int | None = None

    def limit(self, reply: int) -> int | None:
        """Return how many tokens a prompt may have beside a reply of so many."""
        limits = [self.prompt_limit] if self.prompt_limit else []
        if self.window:
            limits.append(self.window - reply)
        return min(limits, default=None)


def numbers_in(words: str) -> TokenNumbers:
    """Return the numbers in the words of a refusal for a full window."""
    counts_tokens = re.search(r"token|input|prompt", words, re.IGNORECASE) is not None
    found = TokenNumbers(
        window=_first(WINDOW, words),
        # of messages, characters or bytes there are limits as well
        prompt_limit=_first(PROMPT_LIMIT, words) if counts_tokens else None,
        prompt=_first(PROMPT_TOKENS, words),
    )
    return TokenNumbers(
        window=found.window if (found.window or 0) >= LEAST_WINDOW else None,
        prompt_limit=found.prompt_limit if (found.prompt_limit or 0) >= LEAST_WINDOW else None,
        prompt=found.prompt,
    )


def numbers_of_rate(words: str, reply: int) -> TokenNumbers:
    """Return the numbers in a refusal for the rate of tokens: they count the whole reply in."""
    found = rate_numbers(words)
    if found is None:
        return TokenNumbers()
    limit, asked = found
    prompt = asked - reply if asked > reply else asked
    return TokenNumbers(prompt_limit=max(limit - reply, 1), prompt=prompt)


def _first(patterns: tuple[str, ...], words: str) -> int | None:
    """Return the number that the first fitting pattern finds."""
    for pattern in patterns:
        if (found := re.search(pattern, words, re.IGNORECASE)) is not None:
            return int(found[1])
    return None
