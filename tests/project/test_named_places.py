"""What docs name inside a file, as in "`advance` in `common/lua/session.lua`", is in that file."""

import re
from typing import Final

import pytest

from tests.support.repository import ROOT

PAGES: Final = ("architecture.md", "glossary.md", "guarantees.md")
PLACE: Final = re.compile(
    r"((?:`\w+`(?:, | and |, and )?)+)(?: of [^`|.;]*`\w+`)? in `([\w/.-]+\.\w+)`"
)


def find_places(text: str) -> list[tuple[str, str]]:
    """Each name that stands before "in" and a file, with that file."""
    return [
        (name, file)
        for names, file in PLACE.findall(text)
        for name in re.findall(r"`(\w+)`", names)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_what_is_said_to_be_in_a_file_is_there(page: str) -> None:
    places = find_places((ROOT / "docs" / page).read_text())
    assert [
        f"{name} in {file}"
        for name, file in places
        if not re.search(rf"\b{name}\b", (ROOT / file).read_text())
    ] == []


def test_the_table_names_such_places() -> None:
    assert len(find_places((ROOT / "docs" / "architecture.md").read_text())) > 5


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("`a` in `x/y.py`", [("a", "x/y.py")]),
        ("`a` and `b` in `x/y.lua`", [("a", "x/y.lua"), ("b", "x/y.lua")]),
        ("`a` of an `Attempt` in `y.py` picks", [("a", "y.py")]),
        ("`a` is in `common/lua`; `x.py` tells", []),
    ],
)
def test_names_before_a_file_are_found(text: str, places: list[tuple[str, str]]) -> None:
    assert find_places(text) == places
