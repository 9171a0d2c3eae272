"""Refusals, in the shape in which vLLM answers them.

Every error body is ``{"error": {"message", "type", "param", "code"}}``, except
the one for a wrong key, which is ``{"error": "Unauthorized"}``. The shapes and
sentences were observed on vLLM 0.32.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_TYPES: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    500: "InternalServerError",
}

ENGINE_DEAD: Final = "EngineCore encountered an issue. See stack trace (above) for the root cause."
"""What vLLM says in mid-stream when the process that computes has died."""

ROLES_MUST_ALTERNATE: Final = "Conversation roles must alternate user/assistant/user/assistant/..."
"""What the chat template of Mistral 7B v0.1 raises, also for a system message."""


class Refusal(HTTPException):
    """The request is answered with this status and error body instead of a reply."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers) if headers else None)
        self.message = message
        self.param = param


class Unauthorized(Refusal):
    """The API key is missing or wrong."""

    def __init__(self) -> None:
        super().__init__(401, "Unauthorized")


def wrong_model(name: str, served: tuple[str, ...]) -> Refusal:
    """The request names a model that is not served."""
    aliases = ", ".join(served)
    return Refusal(
        404, f"The model `{name}` does not exist. Valid aliases: {aliases}.", param="model"
    )


def bad_value(message: str, param: str, value: int) -> Refusal:
    """A number in the request, or counted in it, is out of range."""
    return Refusal(400, f"{message} (parameter={param}, value={value})", param=param)


def max_tokens_above_window(param: str, value: int, window: int) -> Refusal:
    """More output was asked for than the window of `window` tokens can ever hold."""
    return bad_value(
        f"{param}={value} cannot be greater than max_model_len=max_total_tokens={window}. "
        "Please request fewer output tokens.",
        param,
        value,
    )


def prompt_above_window(prompt_tokens: int, max_tokens: int, window: int) -> Refusal:
    """The prompt leaves no room for an answer in the window of `window` tokens."""
    return bad_value(
        f"This model's maximum context length is {window} tokens. However, you requested "
        f"{max_tokens} output tokens and your prompt contains at least {prompt_tokens} input "
        f"tokens, for a total of at least {prompt_tokens + max_tokens} tokens. Please reduce the "
        "length of the input prompt or the number of requested output tokens.",
        "input_tokens",
        prompt_tokens,
    )


def invalid_body(error: ValidationError) -> Refusal:
    """The body is not JSON, or a field of it is missing or wrong."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    places = [".".join(str(step) for step in problem["loc"]) for problem in problems]
    lines = [f"{place or 'body'}: {p['msg']}" for place, p in zip(places, problems, strict=True)]
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''}"
    return Refusal(400, f"{count}: {'; '.join(lines)}", param=places[0] or None)


def error_body(status: int, message: str, param: str | None = None) -> dict[str, object]:
    """The error object of an answer, or of an event in mid-stream."""
    kind = _TYPES.get(status) or _phrase(status)
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 529 and the like are used without being registered
        return "Error"


async def answer_refusal(request: Request, refusal: Exception) -> Response:
    """Starlette's handler for every `HTTPException`, unknown paths included."""
    if isinstance(refusal, Unauthorized):
        return JSONResponse({"error": "Unauthorized"}, status_code=401)
    if not isinstance(refusal, HTTPException):
        raise refusal
    param = refusal.param if isinstance(refusal, Refusal) else None
    return JSONResponse(
        error_body(refusal.status_code, refusal.detail, param),
        status_code=refusal.status_code,
        headers=refusal.headers,
    )
