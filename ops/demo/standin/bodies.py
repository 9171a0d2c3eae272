"""The JSON bodies of answers, in the form of vLLM's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from ops.demo.standin.api import tokens
from ops.demo.standin.completion import Completion

DONE: Final = b"data: [DONE]\n\n"
"""The last event of a stream."""


def to_json(data: Mapping[str, object]) -> bytes:
    """Write `data` as JSON in UTF-8."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def to_sse(data: Mapping[str, object]) -> bytes:
    """Write `data` as one server-sent event."""
    return b"data: " + to_json(data) + b"\n\n"


class Envelope:
    """Makes the bodies of one completion. They share the id, the model and the time (s)."""

    def __init__(self, completion: Completion, number: int, created: int) -> None:
        self._completion = completion
        self._common = {
            "id": f"chatcmpl-stand-in-{number}",
            "created": created,
            "model": completion.model,
        }

    def chunk(self, delta: Mapping[str, str], finish_reason: str | None = None) -> bytes:
        """Make one chunk of a stream, as an event."""
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return to_sse({**self._common, "object": "chat.completion.chunk", "choices": [choice]})

    def usage_chunk(self, completion_tokens: int) -> bytes:
        """Make the last chunk of a stream, which holds the usage and no choice."""
        return to_sse(
            {
                **self._common,
                "object": "chat.completion.chunk",
                "choices": [],
                "usage": self._usage(completion_tokens),
            }
        )

    def whole(self, text: str, completion_tokens: int, finish_reason: str | None) -> bytes:
        """Make the body of an answer that is not streamed."""
        message: dict[str, object] = {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "tool_calls": [],
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": finish_reason,
            "stop_reason": None,
        }
        return to_json(
            {
                **self._common,
                "object": "chat.completion",
                "choices": [choice],
                "usage": self._usage(completion_tokens),
            }
        )

    def _usage(self, completion_tokens: int) -> dict[str, int | None]:
        return {
            "prompt_tokens": self._completion.prompt_tokens,
            "total_tokens": self._completion.prompt_tokens + completion_tokens,
            "completion_tokens": completion_tokens,
            "prompt_tokens_details": None,
        }


def model_list(names: tuple[str, ...], max_model_len: int, created: int) -> dict[str, object]:
    """Make the body of `GET /v1/models`."""
    cards = [
        {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "earshot",
            "root": name,
            "parent": None,
            "max_model_len": max_model_len,
        }
        for name in names
    ]
    return {"object": "list", "data": cards}


def tokenize_body(prompt: str, max_model_len: int) -> dict[str, object]:
    """Make the body of `POST /tokenize`."""
    ids = tokens.token_ids(prompt)
    return {"count": len(ids), "max_model_len": max_model_len, "tokens": ids, "token_strs": None}
