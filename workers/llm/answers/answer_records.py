"""The records of an answer: its bytes, cut into JSON values, whatever the form of the answer.

An answer should be a stream of server-sent events. Other forms are found as well: one JSON value, a
JSON value in each line, events without blank lines between them, and lines `error: {...}`.
"""

import codecs
import json
import re
from dataclasses import dataclass
from typing import Any, Final

BYTE_ORDER_MARK: Final = "\ufeff"
DONE: Final = "[done]"

FIELDS: Final = frozenset({"data", "event", "id", "retry", "error"})
"""The fields of an event (https://html.spec.whatwg.org/multipage/server-sent-events.html), and
`error`, which llama.cpp has used for errors."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
"""The line ends of events. `str.splitlines` knows more, and text may contain those."""


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON value of the answer; `is_error` if the form, not the value, says that it is one."""

    value: Any
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The event that ends a stream: `[DONE]`."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A text of the answer that is no JSON: a web page, a sentence, half an object."""

    text: str


Item = Record | Done | Unreadable


class RecordReader:
    """Cuts the bytes of one answer into records as they come."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at_start = True
        self._event = ""
        self._data: list[str] = []
        self._bare: list[str] = []

    def feed(self, data: bytes) -> list[Item]:
        """Return the records that are complete now."""
        self._text += self._decoder.decode(data)
        if self._at_start and self._text:
            self._at_start = False
            self._text = self._text.removeprefix(BYTE_ORDER_MARK)
        # a \r at the end may be the first half of a line end
        held = "\r" if self._text.endswith("\r") else ""
        *lines, rest = _LINE_END.split(self._text[: len(self._text) - len(held)])
        self._text = rest + held
        return [item for line in lines for item in self._read_line(line)]

    def close(self) -> list[Item]:
        """Return what is left when the answer has ended."""
        rest = (self._text + self._decoder.decode(b"", final=True)).rstrip("\r")
        self._text = ""
        items = self._read_line(rest) if rest else []
        items += self._end_event()
        if self._bare:
            items.append(Unreadable("\n".join(self._bare).strip()))
            self._bare = []
        return [item for item in items if item != Unreadable("")]

    def _read_line(self, line: str) -> list[Item]:
        if self._bare:
            return self._read_bare(line)
        if not line.strip():
            return self._end_event()
        if line.startswith(":"):
            return []
        name, _, value = line.partition(":")
        name = name.strip().lower()
        if name not in FIELDS:
            return [*self._end_event(), *self._read_bare(line)]
        value = value.removeprefix(" ")
        match name:
            case "data":
                return self._read_data(value)
            case "error":
                return [*self._end_event(), Record(_parse_or_keep(value), is_error=True)]
            case "event":
                self._event = value.strip().lower()
        return []

    def _read_data(self, value: str) -> list[Item]:
        """Read a line of data. It may be the next one of an event that has several."""
        while value.startswith("data:"):
            value = value.removeprefix("data:").lstrip()
        if not self._data and value.strip().lower() == DONE:
            return [Done()]
        self._data.append(value)
        found = _parse("\n".join(self._data))
        if found is None:
            return []
        self._data = []
        return self._records(found[0])

    def _end_event(self) -> list[Item]:
        """End an event; what has not become JSON by now never will."""
        text, self._data = "\n".join(self._data).strip(), []
        items: list[Item] = []
        if text:
            is_error = self._event == "error"
            items.append(Record(text, is_error=True) if is_error else Unreadable(text))
        self._event = ""
        return items

    def _read_bare(self, line: str) -> list[Item]:
        """Read a line that belongs to no event: JSON, in one line or in many, or text."""
        self._bare.append(line)
        if not line.rstrip().endswith(("}", "]", '"')):
            return []
        found = _parse("\n".join(self._bare))
        if found is None:
            return []
        self._bare = []
        return self._records(found[0])

    def _records(self, value: Any) -> list[Item]:
        """Return a record for a value, or for each value of a list."""
        is_error = self._event == "error"
        return [Record(one, is_error) for one in (value if isinstance(value, list) else [value])]


def _parse(text: str) -> tuple[Any] | None:
    """Return the JSON value of a text in a tuple; None if it is not JSON."""
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None


def _parse_or_keep(text: str) -> Any:
    found = _parse(text)
    return text if found is None else found[0]
