"""What an LLM server's refusals mean: wait, give up, or ask in another shape.

`Transient`: time or a person can mend it; a wrong key or model name is one. `Permanent`: this
server will never answer the request. Each has one sentence that says what to do next.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import openai

from common.errors import Busy, Permanent, Transient
from common.transitions.answering import Message
from workers.llm.quotation import LEFT_OUT, describe_body, repeats

MAX_QUOTE: Final = 300
"""Characters of the server's own words that a message quotes."""

NO_SYSTEM_ROLE: Final = re.compile(
    r"roles must alternate|system role|only user and assistant roles|role[s]? .?system",
    re.IGNORECASE,
)
"""How chat templates refuse the system role: Mistral 7B v0.1 and v0.2 (through vLLM and others),
Gemma, Llama 2 forks."""

TOO_LONG_CODES: Final = {"input_tokens", "context_length_exceeded", "exceed_context_size_error"}
"""vLLM names the parameter, OpenAI the code, llama.cpp the type. TOO_LONG catches the others."""

TOO_LONG: Final = re.compile(
    r"context (length|window|size)|prompt is too long|too many tokens", re.IGNORECASE
)
WINDOW: Final = re.compile(r"(?:context (?:length|window|size)|max_model_len)\D{0,20}(\d+)", re.I)
PROMPT_TOKENS: Final = re.compile(
    r"(\d+) (?:input|prompt) tokens|\((\d+) in (?:the|your) (?:messages|prompt)"
    r"|(?:resulted in|requested) (\d+) tokens(?! \()",
    re.IGNORECASE,
)

UNREACHABLE: Final = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"}
"""Why an attempt to connect failed: class names of httpx, or of its fork, depending on the SDK's
version. The SDK hides the classes themselves."""


class ContextTooLong(Permanent):
    """The prompt does not fit the model's window. The counts are in tokens, if the server told."""

    def __init__(
        self, message: str, *, window: int | None = None, prompt_tokens: int | None = None
    ) -> None:
        super().__init__(message)
        self.window = window
        self.prompt_tokens = prompt_tokens


class ReplyTooLong(Permanent):
    """The server gives no replies of the length that was asked for.

    `numbers` are those in the server's words: its limit is among them, if it told.
    """

    def __init__(self, message: str, *, numbers: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.numbers = tuple(numbers)


class WindowFull(ContextTooLong):
    """The window turned out too small in the middle of a reply: its text is not kept."""


class SystemRoleRefused(Permanent):
    """The model's chat template takes no system message."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains the errors of one server. `address`: its base URL without a password."""

    address: str
    api_key: str = ""

    def explain(
        self, error: openai.APIError, *, model: str = "", messages: Sequence[Message] = ()
    ) -> Transient | Permanent:
        """Return what an error of the SDK means, raised when `model` was sent these messages.

        It quotes the server, but not what stands in the messages.
        """
        if isinstance(error, openai.APITimeoutError):
            return Transient(
                f"the LLM server at {self.address} accepts no connection: check that it runs and"
                " that EARSHOT_LLM__BASE_URL is right"
            )
        if isinstance(error, openai.APIConnectionError):
            return self._explain_connection(error)
        status = _status(error)
        said = self.quote(error, messages)
        match status:
            case 401:
                return Transient(
                    f"the LLM server at {self.address} refuses the API key ({said}):"
                    " set EARSHOT_LLM__API_KEY"
                    if self.api_key
                    else f"the LLM server at {self.address} asks for an API key ({said}):"
                    " set EARSHOT_LLM__API_KEY"
                )
            case 403:
                return Transient(
                    f"the LLM server at {self.address} forbids the request ({said}): check what"
                    " EARSHOT_LLM__API_KEY is allowed to do, and filters in front of the server"
                )
            case 400 | 413 | 422:
                return self._explain_request(error, said, self._words(error))
            case 429 if error.code == "insufficient_quota":
                return Transient(
                    f"the account at the LLM server at {self.address} is used up ({said})"
                )
            case 429:
                return Busy(
                    f"the LLM server at {self.address} takes no more requests now ({said})",
                    retry_after=retry_after(error),
                )
            case 404:
                return Transient(
                    f"the LLM server at {self.address} does not know the model {model!r} or the"
                    f" path ({said}): check EARSHOT_LLM__MODEL and EARSHOT_LLM__BASE_URL, which"
                    " ends in /v1 for most servers"
                )
            case 408 | 409 | 425 | None:
                return Transient(
                    f"the LLM server at {self.address} broke off ({said})",
                    retry_after=retry_after(error),
                    opens_breaker=False,
                    broke_off=not isinstance(error, openai.APIStatusError),
                )
            case _:
                return Transient(
                    f"the LLM server at {self.address} fails with {status} ({said}): its own log"
                    " says more"
                    if status >= 500
                    else f"the LLM server at {self.address} answers {status} ({said}): check"
                    " EARSHOT_LLM__BASE_URL and the account behind EARSHOT_LLM__API_KEY",
                    retry_after=retry_after(error),
                    # a server may fail for one request only, with 5xx or inside a stream
                    opens_breaker=isinstance(error, openai.APIStatusError) and status < 500,
                    broke_off=not isinstance(error, openai.APIStatusError),
                )

    def explain_missing_model(
        self,
        error: openai.APIError,
        model: str,
        served: Sequence[str],
        messages: Sequence[Message] = (),
    ) -> Transient:
        """Return what a 404 means from a server that lists its models."""
        return Transient(
            f"the LLM server at {self.address} has no model {model!r}"
            f" ({self.quote(error, messages)});"
            f" it lists {join_names(served)}: set EARSHOT_LLM__MODEL to one of them"
        )

    def quote(self, error: openai.APIError, messages: Sequence[Message] = ()) -> str:
        """Return the server's own words, on one line, without the key and without the messages."""
        text = self._words(error)
        if repeats(text, messages):
            return LEFT_OUT
        return text if len(text) <= MAX_QUOTE else text[:MAX_QUOTE] + "…"

    def _words(self, error: openai.APIError) -> str:
        text = describe_body(error.body, error.message)
        return text.replace(self.api_key, "***") if self.api_key else text

    def _explain_connection(self, error: openai.APIConnectionError) -> Transient:
        cause = error.__cause__
        if type(cause).__name__ in UNREACHABLE:
            return Transient(
                f"the LLM server at {self.address} cannot be reached ({cause}): start it, or set"
                " EARSHOT_LLM__BASE_URL"
            )
        return Transient(
            f"the LLM server at {self.address} closed the connection"
            f" ({cause or error.message}): the request is sent again",
            opens_breaker=False,
            broke_off=True,
        )

    def _explain_request(
        self, error: openai.APIError, said: str, words: str
    ) -> Transient | Permanent:
        """Explain a refused request by the server's `words`, of which `said` may be quoted."""
        if error.param in {"max_tokens", "max_completion_tokens"}:
            return ReplyTooLong(
                f"the LLM server at {self.address} cannot give replies of this length ({said}):"
                " set EARSHOT_LLM__MAX_TOKENS and EARSHOT_LLM__MIN_TOKENS lower",
                numbers=[int(number) for number in re.findall(r"\d{1,9}", words)],
            )
        if NO_SYSTEM_ROLE.search(words):
            return SystemRoleRefused(f"the model takes no system prompt ({said})")
        if {error.param, error.code, error.type} & TOO_LONG_CODES or TOO_LONG.search(words):
            return ContextTooLong(
                f"what was said does not fit the model's window ({said}): say less at once, or"
                " serve the model with a larger one",
                window=_number(WINDOW, words),
                prompt_tokens=_number(PROMPT_TOKENS, words),
            )
        return Permanent(f"the LLM server at {self.address} refuses the request ({said})")

    def check_end(self, finish_reason: str | None) -> str:
        """Return the finish reason of a whole reply; raises Transient or Permanent for any other.

        vLLM ends a reply with `abort` when it shuts down. A server that dies sends no reason.
        """
        match finish_reason:
            case "stop" | "length" | "tool_calls":
                return finish_reason
            case "content_filter":
                raise Permanent(
                    "the LLM server's content filter stopped the reply: say it in other words"
                )
            case "abort":
                raise Transient(
                    f"the LLM server at {self.address} ended the reply with 'abort'",
                    opens_breaker=False,
                    broke_off=True,
                )
            case None:
                raise Transient(
                    f"the LLM server at {self.address} ended the reply without a finish reason",
                    opens_breaker=False,
                    broke_off=True,
                )
            case _:
                raise Transient(
                    f"the LLM server at {self.address} ended the reply with"
                    f" {_name_reason(finish_reason)}",
                    opens_breaker=False,
                )


def _name_reason(reason: str) -> str:
    """Name a finish reason for a log: a name is short, and anything else may hold speech."""
    return repr(reason) if re.fullmatch(r"[\w.-]{1,40}", reason) else "a reason that is no name"


def join_names(names: Sequence[str]) -> str:
    """Join names for a sentence; a long list is cut short."""
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown or "no model"


def retry_after(error: openai.APIError) -> float | None:
    """Return the server's wish in seconds, from Retry-After: seconds, or an HTTP date."""
    if not isinstance(error, openai.APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _status(error: openai.APIError) -> int | None:
    """Return the HTTP status. An error in mid-stream has it as its code, or has none."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    return int(error.code) if error.code and re.fullmatch(r"[45]\d\d", error.code) else None


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    if found is None:
        return None
    return int(next(group for group in found.groups() if group))
