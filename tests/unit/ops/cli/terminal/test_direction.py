"""No text from elsewhere turns round what a terminal shows."""

import pytest

from ops.cli.terminal.conversation import to_one_line
from ops.cli.terminal.direction import show_direction_changes

TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_a_line_for_people_has_none() -> None:
    assert to_one_line(f"to{TURNS} Ada\n\x1b[31m") == "to Ada [31m"
    assert to_one_line("שלום مرحبا") == "שלום مرحبا"


@pytest.mark.parametrize("char", TURNS)
def test_they_are_written_out(char: str) -> None:
    assert show_direction_changes(f'{{"a":"{char}"}}') == f'{{"a":"\\u{ord(char):04x}"}}'
