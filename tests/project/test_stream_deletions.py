"""The docs name every script that deletes entries of streams, and nothing but scripts does so."""

import re
from pathlib import Path
from typing import Final

import pytest

from common.redis.script import INCLUDE, read_file
from tests.support.repository import ROOT

LUA: Final = ROOT / "common" / "lua"
DELETES: Final = re.compile(r"'X(?:DEL|TRIM)'")
FUNCTION: Final = re.compile(r"^local function (\w+)\(.*?\n(.*?)^end$", re.MULTILINE | re.DOTALL)
IN_PYTHON: Final = re.compile(r"\.(?:xdel|xtrim)\b|['\"]X(?:DEL|TRIM)['\"]")


def _without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


def _calls(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\(", text) is not None


def _deleting_functions(text: str) -> set[str]:
    """The functions in a text that delete, themselves or through one another."""
    bodies = dict(FUNCTION.findall(text))
    deleting = {name for name, body in bodies.items() if DELETES.search(body)}
    while more := {
        name
        for name, body in bodies.items()
        if name not in deleting and any(_calls(other, body) for other in deleting)
    }:
        deleting |= more
    return deleting


def _deletes(script: str) -> bool:
    own = read_file(script)
    included = _without_comments("\n".join(map(read_file, INCLUDE.findall(own))))
    text = _without_comments(own)
    deleting = _deleting_functions(f"{included}\n{text}")
    return DELETES.search(text) is not None or any(_calls(name, text) for name in deleting)


def _scripts() -> set[str]:
    files = {path.stem for path in LUA.glob("*.lua")}
    return files - {part for name in files for part in INCLUDE.findall(read_file(name))}


def _named_in_docs() -> set[str]:
    page = (ROOT / "docs" / "architecture.md").read_text()
    (row,) = re.findall(r"^\| Who may delete a stream entry\? \| (.*) \|$", page, re.MULTILINE)
    words = re.findall(r"`(?:common/lua/)?(\w+)(?:\.lua)?`", row)
    return set(words) & _scripts()


def test_the_row_on_deletions_names_the_scripts_that_delete() -> None:
    assert _named_in_docs() == {script for script in _scripts() if _deletes(script)}


def test_deletions_through_functions_of_functions_are_found() -> None:
    text = (
        "local function first(a)\n  redis.call('XDEL', a)\nend\n"
        "local function second()\n  first(1)\nend\n"
        "local function third()\n  second()\nend\n"
        "local function other()\n  redis.call('XADD', 1)\nend\n"
    )
    assert _deleting_functions(text) == {"first", "second", "third"}


@pytest.mark.parametrize("folder", ["common", "producer", "workers", "ops"])
def test_no_python_deletes_entries(folder: str) -> None:
    sources = (ROOT / folder).rglob("*.py")
    assert [path for path in sources if IN_PYTHON.search(_text(path))] == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
