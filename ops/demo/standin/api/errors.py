"""Refusals, in the form in which vLLM sends them.

The body of an error is `{"error": {"message", "type", "param", "code"}}`. For a wrong key it is
`{"error": "Unauthorized"}`. The form and the sentences were observed with vLLM 0.32.
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
"""What vLLM sends in the middle of a stream when the process that computes has died."""

ROLES_MUST_ALTERNATE: Final = "Conversation roles must alternate user/assistant/user/assistant/..."
"""What the chat template of Mistral 7B v0.1 says, also to a system message."""


class Refusal(HTTPException):
    """The request gets this status and error body instead of a reply."""

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
    """Make the refusal of a request for a model that is not served."""
    aliases = ", ".join(served)
    return Refusal(
        404, f"The model `{name}` does not exist. Valid aliases: {aliases}.", param="model"
    )


def bad_value(message: str, param: str, value: int) -> Refusal:
    """Make the refusal of a request in which a number is out of range."""
    return Refusal(400, f"{message} (parameter={param}, value={value})", param=param)


def max_tokens_above_window(param: str, value: int, window: int) -> Refusal:
    """Make the refusal of a request for more output than the window can hold."""
    return bad_value(
        f"{param}={value} cannot be greater than max_model_len=max_total_tokens={window}. "
        "Please request fewer output tokens.",
        param,
        value,
    )


def prompt_above_window(prompt_tokens: int, max_tokens: int, window: int) -> Refusal:
    """Make the refusal of a prompt that leaves no room for an answer in the window."""
    return bad_value(
        f"This model's maximum context length is {window} tokens. However, you requested "
        f"{max_tokens} output tokens and your prompt contains at least {prompt_tokens} input "
        f"tokens, for a total of at least {prompt_tokens + max_tokens} tokens. Please reduce the "
        "length of the input prompt or the number of requested output tokens.",
        "input_tokens",
        prompt_tokens,
    )


def invalid_body(error: ValidationError) -> Refusal:
    """Make the refusal of a body in which a field is missing or wrong."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    places = [".".join(str(step) for step in problem["loc"]) for problem in problems]
    lines = [f"{place or 'body'}: {p['msg']}" for place, p in zip(places, problems, strict=True)]
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''}"
    return Refusal(400, f"{count}: {'; '.join(lines)}", param=places[0] or None)


def error_body(status: int, message: str, param: str | None = None) -> dict[str, object]:
    """Make the error object of an answer, or of an event in the middle of a stream."""
    kind = _TYPES.get(status) or _phrase(status)
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # servers also use numbers that are not registered, such as 529
        return "Error"


async def answer_refusal(request: Request, refusal: Exception) -> Response:
    """Answer every `HTTPException`, as a handler of Starlette. Unknown paths raise one too."""
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
