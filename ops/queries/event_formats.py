"""The formats of exported events: JSON lines as `earshot tail --json` prints them, or CSV rows."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from common.events import Event, Timings

TIMINGS: Final = tuple(Timings.model_fields)
COLUMNS: Final = (
    "at", "type", "session", "epoch", "turn", "id",
    "text", "reason", "into", "error", "stage", "source", "speech_ms", "spoken_at",
    "language", "avg_logprob", "no_speech_prob", "model", "worker", "finish_reason", "interrupted",
    *(f"{name}_ms" for name in TIMINGS),
)  # fmt: skip

FORMULA: Final = re.compile(
    r"(?:\A|(?<=[;\t\r\n]))(?=[\s\ufeff]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])"
)
"""The place before what a spreadsheet may take for a formula (OWASP, "CSV Injection"): at the
beginning of a text, or after a character that some spreadsheet takes for the end of a cell. The
last four are `=+-@` in full width."""


def to_jsonl(event: Event) -> str:
    """Format an event as one line of JSON."""
    return event.as_line() + "\n"


def to_csv_row(event: Event) -> str:
    """Format an event as RFC 4180 CSV; fields that it lacks stay empty.

    What somebody said may look like a formula, which a spreadsheet would compute. An apostrophe
    before it makes it a text.
    """
    values = event.model_dump(exclude_none=True)
    data: dict[str, Any] = values.pop("data")
    timings = data.pop("timings", {})
    flat = data | values | {f"{name}_ms": timings.get(name) for name in TIMINGS}
    return _row(["" if flat.get(name) is None else _harmless(flat[name]) for name in COLUMNS])


def _harmless(value: Any) -> Any:
    return FORMULA.sub("'", value) if isinstance(value, str) else value


def _row(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


FORMATS: Final[Mapping[str, tuple[str, Callable[[Event], str]]]] = {
    "jsonl": ("", to_jsonl),
    "csv": (_row(list(COLUMNS)), to_csv_row),
}
"""The header of each format, and the function that formats one event."""
