"""Finish reasons of many makers, in any spelling and any type."""

from typing import Any

import pytest

from workers.llm.meanings.finish_reasons import End, meaning_of, reason_in


@pytest.mark.parametrize(
    ("end", "reasons"),
    [
        (End.STOP, "stop STOP end_turn stop_sequence eos_token eosFound EOS complete who_knows 1"),
        (End.LENGTH, "length max_tokens MAX_TOKENS model_length maxPredictedTokensReached limit"),
        (End.TOOL, "tool_calls function_call tool_use TOOL_CALL toolCalls"),
        (End.FILTERED, "content_filter SAFETY PROHIBITED_CONTENT refusal guardrail_intervened"),
        (End.WINDOW_FULL, "context_length_exceeded contextLengthReached context_full"),
        (End.FAULT, "error abort network_error MALFORMED_FUNCTION_CALL modelUnloaded cancelled"),
    ],
)
def test_meanings(end: End, reasons: str) -> None:
    assert {reason: meaning_of(reason) for reason in reasons.split()} == dict.fromkeys(
        reasons.split(), end
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("stop", "stop"),
        (" stop ", "stop"),
        ("", ""),
        ("null", ""),
        (None, ""),
        (False, ""),
        (["length"], "length"),
        ({"type": "stop"}, "stop"),
        ({"a": [None, {"b": "eos"}]}, "eos"),
        (7, "7"),
    ],
)
def test_a_reason_of_any_type(value: Any, reason: str) -> None:
    assert reason_in(value) == reason
