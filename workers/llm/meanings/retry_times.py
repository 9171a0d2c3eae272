"""When a server wants to be asked again: in a header, or in the words of its error."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)[a-z]*", re.IGNORECASE)
_TOLD: Final = re.compile(
    r"(?:retry|again|wait|reset\w*)\W{0,3}(?:in|after|for|delay)?\W{0,4}"
    r"((?:\d[\d.]* ?[a-z]+[ ,]*)+)"
    r"|retryDelay\W{1,4}(\d[\d.]*s)",
    re.IGNORECASE,
)


def retry_time(headers: Mapping[str, str], words: str = "") -> float | None:
    """Return for how long a server wants to be left alone, in s; None if it does not say.

    It says so in `Retry-After` (seconds or an HTTP date), `retry-after-ms`, or in words: "try again
    in 1m2.5s" (Groq, OpenAI), "retryDelay": "34s" (Google).
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return _told_in(words)


def _told_in(words: str) -> float | None:
    found = _TOLD.search(words)
    if found is None:
        return None
    spans = _SPAN.findall(found[1] or found[2])
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in spans) if spans else None


def _number(text: str) -> float | None:
    try:
        return max(float(text), 0.0)
    except ValueError:
        return None
