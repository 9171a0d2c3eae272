"""Why a reply ended, in the words of many makers: an end, a limit, or a fault."""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final


class End(Enum):
    """What a finish reason means. The value is what the `reply` event says."""

    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool_calls"
    FILTERED = "content_filter"
    WINDOW_FULL = "window_full"
    FAULT = "fault"


KNOWN: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})
"""The reasons of OpenAI's own API, which vLLM and most others use."""

MEANINGS: Final[tuple[tuple[End, str], ...]] = (
    # Azure, Gemini (SAFETY, RECITATION, BLOCKLIST, SPII), Bedrock (guardrail_intervened), Zhipu
    # (sensitive), Anthropic (refusal)
    (
        End.FILTERED,
        r"filter|safety|recitation|blocklist|block|prohibited|spii|guardrail|sensitive|moderat"
        r"|flagged|refus|policy|harm",
    ),
    # Anthropic (model_context_window_exceeded), LM Studio (contextLengthReached)
    (End.WINDOW_FULL, r"context|window"),
    # vLLM (abort), OpenRouter (error), Zhipu (network_error), DeepSeek
    # (insufficient_system_resource), Gemini (MALFORMED_FUNCTION_CALL), LM Studio (modelUnloaded)
    (
        End.FAULT,
        r"error|fail|fault|abort|cancel|network|unavailable|overload|time.?out|time.?limit"
        r"|rate.?limit|insufficient|malformed|exception|crash|kill|interrupt|disconnect|invalid"
        r"|unexpected|unload|shut.?down|panic",
    ),
    (End.TOOL, r"tool|function"),
    # Anthropic and Gemini (max_tokens), Mistral (model_length), LM Studio (maxPredictedTokens...)
    (End.LENGTH, r"length|max|limit|truncat|budget|cut.?off"),
)


def meaning_of(reason: str) -> End:
    """Return what a finish reason means. One that nobody knows is an end like `stop`."""
    lower = reason.lower()
    if lower in {"function_call", "tool_calls"}:
        return End.TOOL
    for end, pattern in MEANINGS:
        if re.search(pattern, lower):
            return end
    return End.STOP


def reason_in(value: Any) -> str:
    """Return the finish reason in a field of any type; empty if it holds none."""
    return next(_texts_in(value, depth=0), "")


def _texts_in(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip() and value.strip().lower() not in {"null", "none"}:
            yield value.strip()
    elif isinstance(value, dict | list) and depth < 3:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(one, depth + 1)
    elif value and isinstance(value, int | float):
        yield str(value)
