"""What an error of a server says, wherever it stands and whatever its shape.

Servers send errors as objects, lists, texts, JSON inside of texts, or pages. A report holds the
words of all of it, a quotation for people, and the few fields that mean something.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from workers.llm.meanings.quotation import LEFT_OUT, repeats

MAX_QUOTE: Final = 300
"""Characters of the server's own words that a message quotes."""

MAX_WORDS: Final = 20_000
"""Characters in which a meaning is looked for: llama.cpp quotes whole chat templates."""

MAX_DEPTH: Final = 12

SENTENCE_KEYS: Final = (
    *("message", "msg", "error", "detail", "errors", "error_msg", "error_message", "status_msg"),
    *("error_description", "description", "reason", "title", "details", "base_resp", "status"),
    *("type", "code", "object"),
)
"""Where the sentence of an error stands, the best place first."""

ECHO_KEYS: Final = frozenset(
    {"input", "messages", "prompt", "request", "body", "failed_generation", "documentation_url"}
    | {"url", "help", "stack", "trace", "traceback", "user_id", "request_id", "id", "received"}
)
"""What a server repeats of the request, or adds for others. It says nothing about the error."""

LONG_PAGE: Final = re.compile(r"\s*(<!doctype|<html|<head|<\?xml)", re.IGNORECASE)
STATUS: Final = re.compile(r"[45]\d\d")


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An error as a server told it.

    `status` is that of HTTP, or a number like one inside an answer. `words` is all that was said;
    `said` is the sentence to quote, on one line. `in_answer`: the HTTP status was a good one.
    """

    status: int | None
    said: str
    words: str
    param: str = ""
    retry_after: float | None = None
    in_answer: bool = False
    is_page: bool = False

    @property
    def is_wordless(self) -> bool:
        """Whether the server refused without a reason."""
        return not self.words.strip()


def make_report(
    body: Any,
    *,
    status: int | None = None,
    retry_after: float | None = None,
    api_key: str = "",
    messages: Iterable[Mapping[str, Any]] = (),
) -> ErrorReport:
    """Make the report of an error's body: a JSON value, or a text.

    Neither `api_key` nor what stands in the `messages` of the request is ever quoted.
    Without a `status` of HTTP, the error stands inside of an answer.
    """
    if isinstance(body, str):
        body = _parse(body)
    is_page = isinstance(body, str) and LONG_PAGE.match(body) is not None
    words = "\n".join(_leaves(body))[:MAX_WORDS]
    said = _text_of_page(body) if is_page else _sentence(body)
    if api_key:
        said, words = said.replace(api_key, "***"), words.replace(api_key, "***")
    if repeats(said, messages):
        said = LEFT_OUT
    return ErrorReport(
        status=status if status is not None else _status_in(body),
        said=to_quote(said),
        words=words,
        param=_param_in(body),
        retry_after=retry_after,
        in_answer=status is None,
        is_page=is_page,
    )


def to_quote(text: str) -> str:
    """Return a text on one line, without control characters, and not too long."""
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_QUOTE else text[:MAX_QUOTE] + "…"


def find_error(value: Any) -> Any | None:
    """Return the part of an answer's JSON value that is an error; None if it is none."""
    if not isinstance(value, Mapping):
        return None
    if value.get("error") or str(value.get("object") or value.get("type")).lower() == "error":
        return value
    base = value.get("base_resp")  # MiniMax
    if isinstance(base, Mapping) and base.get("status_code"):
        return value
    choices = value.get("choices")
    if isinstance(choices, list):
        return next((one for one in choices if isinstance(one, Mapping) and one.get("error")), None)
    return value if not choices and _is_complaint(value) else None


def _is_complaint(value: Mapping[str, Any]) -> bool:
    """Return whether an object without choices says something: what else should it be?"""
    if value.get("errors") or value.get("detail") or value.get("error_msg"):
        return True
    return any(isinstance(value.get(key), str) and value[key] for key in ("message", "msg"))


def _parse(text: str) -> Any:
    """Return the JSON value of a text, or the text."""
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _leaves(value: Any, key: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the words of a JSON value, also of JSON inside of texts; numbers with their names."""
    if depth > MAX_DEPTH or key.lower() in ECHO_KEYS:
        return
    match value:
        case str():
            parsed = _parse(value) if depth else value
            if isinstance(parsed, str):
                yield parsed
            else:
                yield from _leaves(parsed, "", depth + 1)
        case Mapping():
            for name, one in value.items():
                yield from _leaves(one, str(name), depth + 1)
        case list():
            if key == "loc":
                yield ".".join(map(str, value))
            else:
                for one in value:
                    yield from _leaves(one, "", depth + 1)
        case bool() | None:
            return
        case _:
            yield f"{key}: {value}"


def _sentence(value: Any, depth: int = 0) -> str:
    """Return the sentence in an error's body; all of it if there is none."""
    if depth > MAX_DEPTH or value is None or isinstance(value, bool):
        return ""
    match value:
        case str():
            parsed = _parse(value) if depth else value
            return parsed if isinstance(parsed, str) else _sentence(parsed, depth + 1)
        case list():
            found = (_sentence(one, depth + 1) for one in value[:3])
            return "; ".join(text for text in found if text)
        case Mapping():
            for key in SENTENCE_KEYS:
                if text := _sentence(value.get(key), depth + 1):
                    return _with_details(value, text, depth)
            return _written(value) if value else ""
        case _:
            return str(value)


def _written(value: Mapping[str, Any]) -> str:
    """Return a JSON object as text, without what it repeats of the request.

    Returns nothing if it is too deep for that.
    """
    kept = {key: one for key, one in value.items() if str(key).lower() not in ECHO_KEYS}
    try:
        return json.dumps(kept) if kept else ""
    except RecursionError:
        return ""


def _with_details(value: Mapping[str, Any], text: str, depth: int) -> str:
    """Add where an error is (pydantic), or what a server behind a gateway said (OpenRouter)."""
    place = value.get("loc")
    if isinstance(place, list):
        text = f"{'.'.join(map(str, place))}: {text}"
    metadata = value.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    behind = _sentence(raw, depth + 1)
    return f"{text}: {behind}" if behind else text


def _status_in(value: Any, depth: int = 0) -> int | None:
    """Return a number in an error's body that is like an HTTP status."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, list):
        return _status_in(value[0], depth + 1) if value else None
    if not isinstance(value, Mapping):
        return None
    for key in ("code", "status_code", "status", "http_code"):
        number = value.get(key)
        if isinstance(number, int | str) and STATUS.fullmatch(str(number)):
            return int(number)
    return _status_in(value.get("error"), depth + 1)


def _param_in(value: Any, depth: int = 0) -> str:
    """Return the parameter that an error names in a field."""
    if depth > MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return _param_in(value[0], depth + 1) if value else ""
    if not isinstance(value, Mapping):
        return ""
    param = value.get("param")
    return param if isinstance(param, str) else _param_in(value.get("error"), depth + 1)


def _text_of_page(page: str) -> str:
    """Return the words of a web page."""
    page = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", page)
    return re.sub(r"<[^>]*>", " ", page)
