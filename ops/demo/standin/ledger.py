"""The ledger of the stand-in: its last chat requests, for tests and benchmarks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

KEPT: Final = 1000
"""How many requests are remembered. Older ones are only counted."""

KEPT_HEADERS: Final = (
    "content-type",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
    "x-stainless-retry-count",
)
"""Headers that are remembered. The authorization is not among them."""


class Entry(BaseModel):
    """One chat request, and how it ended. Times are in ms since the start of the stand-in."""

    model_config = ConfigDict(hide_input_in_errors=True)

    number: int
    """1 for the first request since the start. The id of the completion holds it."""
    headers: dict[str, str] = Field(default_factory=dict)
    messages: list[Any] = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
    """All of the body but the messages."""
    started_ms: float
    first_token_ms: float | None = None
    ended_ms: float | None = None
    status: int | None = None
    """HTTP status of the answer. None means that none was sent (yet)."""
    tokens: int = 0
    """How many tokens of the reply were sent."""
    reply: str = ""
    """The text of these tokens."""
    finish_reason: str | None = None
    aborted: bool = False
    """The client left before the answer was complete."""


class Listing(BaseModel):
    """The answer to `GET /requests`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    total: int
    """Requests since the start, or since the ledger was cleared."""
    active: int
    """Requests that are being answered now."""
    peak_active: int
    """The largest number of requests that were answered at the same time."""
    requests: list[Entry]


class Ledger:
    """Keeps an `Entry` for each of the last `KEPT` chat requests."""

    def __init__(
        self, *, keep: int = KEPT, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._monotonic = monotonic
        self._zero = monotonic()
        self._number = 0
        self._total = 0
        self._active: set[int] = set()
        self._peak = 0

    def arrive(self, headers: Mapping[str, str]) -> Entry:
        """Add a request that has just arrived."""
        self._number += 1
        self._total += 1
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        entry = Entry(number=self._number, headers=kept, started_ms=self._now_ms())
        self._entries.append(entry)
        self._active.add(entry.number)
        self._peak = max(self._peak, len(self._active))
        return entry

    def describe(self, entry: Entry, body: Mapping[str, Any]) -> None:
        """Note the content of a request."""
        entry.params = {name: value for name, value in body.items() if name != "messages"}
        messages = body.get("messages")
        entry.messages = messages if isinstance(messages, list) else []

    def token(self, entry: Entry, text: str, count: int) -> None:
        """Note `count` more tokens of the reply, whose text is `text`."""
        if entry.first_token_ms is None:
            entry.first_token_ms = self._now_ms()
        entry.tokens += count
        entry.reply += text

    def end(self, entry: Entry, *, aborted: bool = False) -> None:
        """Note that a request has ended. Only the first call for an entry counts."""
        if entry.ended_ms is not None:
            return
        entry.ended_ms = self._now_ms()
        entry.aborted = aborted
        self._active.discard(entry.number)

    def clear(self) -> None:
        """Forget all requests. Their numbers are not used again."""
        self._entries.clear()
        self._total = 0
        self._peak = len(self._active)

    def listing(self) -> Listing:
        """Return all requests, the oldest first, and the counts."""
        return Listing(
            total=self._total,
            active=len(self._active),
            peak_active=self._peak,
            requests=list(self._entries),
        )

    def _now_ms(self) -> float:
        return round((self._monotonic() - self._zero) * 1000, 3)
