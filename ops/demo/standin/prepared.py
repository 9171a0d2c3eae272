"""Prepared answers: what servers of other makers send, byte for byte.

A prepared answer says to which requests it is an answer. Requests that none of them fits are
answered as always.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Endpoint = Literal["chat", "models", "tokenize"]


class Condition(BaseModel):
    """Which requests are meant: those for which all that is set is true."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    param: str | None = None
    """The body has this field."""
    role: str | None = None
    """One of the messages has this role."""
    messages_above: int | None = None
    """There are more messages than these."""
    newest: str | None = None
    """The newest message contains this text."""
    max_tokens_above: int | None = None
    """The reply may have more tokens than these, or any number of them."""

    def fits(self, body: Mapping[str, Any]) -> bool:
        """Return whether a request is meant."""
        messages = body.get("messages") or []
        limit = body.get("max_tokens", body.get("max_completion_tokens"))
        return (
            (self.param is None or self.param in body)
            and (self.newest is None or self.newest in str(messages[-1:]))
            and (self.role is None or any(one.get("role") == self.role for one in messages))
            and (self.messages_above is None or len(messages) > self.messages_above)
            and (self.max_tokens_above is None or limit is None or limit > self.max_tokens_above)
        )


class PreparedAnswer(BaseModel):
    """One answer: its status, headers and body, in the `parts` in which the body is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[str, ...] = ()
    status: int = Field(default=200, ge=200, le=599)
    media_type: str = "text/event-stream"
    """Empty: no such header."""
    headers: dict[str, str] = Field(default_factory=dict)
    encoding: str = "utf-8"
    pause_ms: float = Field(default=0, ge=0)
    """Time between two parts."""
    cut: bool = False
    """The connection is closed before the end of the body."""
    endpoint: Endpoint = "chat"
    to: Condition = Condition()
    count: int | None = Field(default=None, ge=1)
    """How often it is sent. None means always, until the control changes."""

    def after_one(self) -> PreparedAnswer | None:
        """Return what is left after it was sent once more; None if nothing is left."""
        if self.count is None:
            return self
        return self.model_copy(update={"count": self.count - 1}) if self.count > 1 else None

    def response(self) -> Response:
        """Make the HTTP response that sends it."""
        return _PreparedResponse(self)


class _PreparedResponse(Response):
    def __init__(self, answer: PreparedAnswer) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer. If it is cut, uvicorn closes the connection."""
        answer = self._answer
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        if answer.media_type:
            headers.append((b"content-type", answer.media_type.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        for part in answer.parts:
            body = part.encode(answer.encoding)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.sleep(answer.pause_ms / 1000)
        if not answer.cut:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def find_prepared(
    answers: tuple[PreparedAnswer, ...], endpoint: Endpoint, body: Mapping[str, Any]
) -> PreparedAnswer | None:
    """Return the first of the prepared answers that fits a request to an endpoint."""
    for answer in answers:
        if answer.endpoint == endpoint and answer.to.fits(body):
            return answer
    return None
