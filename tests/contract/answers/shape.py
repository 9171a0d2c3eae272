"""A shape: what a server answers, and what a user must see then."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SAID: Final = "Certainly, at once."
"""What the stand-in replies where no prepared answer fits."""

SECRET: Final = "SECRET"
"""A word of the model's reasoning. Nobody must see it in a reply, a delta or the history."""

Prepared = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """One row of the table.

    `answers` are prepared answers of the stand-in, for the question in the session that is looked
    at; `rounds` is how many questions were answered in it before. The turn must end in a `reply`
    with this text, or in an `error` that contains all of `error`; or the worker waits, and says
    all of `waits`. At most `tries` requests may be made for it.
    """

    name: str
    answers: Sequence[Prepared] = ()
    reply: str | None = None
    error: Sequence[str] = ()
    waits: Sequence[str] = ()
    rounds: int = 0
    finish_reason: str | None = None
    reasoning: str | None = None
    tries: int = 9
    sent: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the last request; None: it must not be there."""
    roles: Sequence[str] = ()
    """The roles of the last request's messages."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/v1"
    """What follows the server's origin in the base URL."""
    refuses_all: bool = False
    """Whether the server answers so to other questions as well, where the turn is to fail."""

    def __str__(self) -> str:
        return self.name


def events(*chunks: Any, done: bool = True, end: str = "\n\n") -> list[str]:
    """The parts of a stream, one for each chunk: a JSON value, or a text as it is."""
    lines = [one if isinstance(one, str) else f"data: {json.dumps(one)}{end}" for one in chunks]
    return [*lines, f"data: [DONE]{end}"] if done else lines


def stream(*chunks: Any, done: bool = True, **more: Any) -> Prepared:
    """An answer that streams these chunks."""
    return {"parts": events(*chunks, done=done), **more}


def chunk(content: Any = None, finish: Any = None, **delta: Any) -> dict[str, Any]:
    """A chunk of a stream."""
    words = delta if content is None else {"content": content, **delta}
    return {"object": "chat.completion.chunk", "choices": [choice(words, finish)]}


def choice(delta: Any, finish: Any = None, index: int = 0) -> dict[str, Any]:
    """A choice of a chunk."""
    return {"index": index, "delta": delta, "finish_reason": finish}


def whole(message: Any, finish: Any = "stop", **more: Any) -> Prepared:
    """A completion that is not streamed."""
    body = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}
    return {"parts": [json.dumps(body)], "media_type": "application/json", **more}


def refusal(status: int, body: Any, **more: Any) -> Prepared:
    """An HTTP error; the body is JSON unless it is a text."""
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if text.startswith("<") else "application/json"
    return {"status": status, "parts": [text] if text else [], "media_type": kind, **more}


def long_prompt(answer: Prepared, messages: int = 2) -> Prepared:
    """The same answer, to requests with more messages than these: a history is refused."""
    return answer | {"to": {"messages_above": messages}}


def listed(body: Any, **more: Any) -> Prepared:
    """An answer to the question for the list of models."""
    return refusal(more.pop("status", 200), body, endpoint="models", **more)
