"""Each line of docs/security.md on what an attacker can do names a test, and that test is there."""

import ast
import re
from typing import Final

from tests.support.repository import ROOT

HEADING: Final = "## What an attacker can do\n"
ROW: Final = re.compile(r"^\| (.+?) \| (can|cannot) \| (.+?) \| `(.+?)::(\w+)` \|$", re.MULTILINE)
CREDENTIALS: Final = (
    "a voice",
    "none",
    "a foreign page",
    "the LLM server",
    "dashboard token",
    "producer",
    "stt",
    "llm",
    "jobs",
    "viewer",
    "admin",
)
REAL: Final = ("tests/integration/", "tests/browser/")
"""Where tests start real parts."""


def _section() -> str:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    return page.split(HEADING)[1].split("\n## ")[0]


def test_each_line_names_a_test_that_is_there() -> None:
    rows = ROW.findall(_section())
    lines = [line for line in _section().splitlines() if line.startswith("|")]
    assert len(rows) == len(lines) - 2, "a line of the table has another form"
    for *_, file, test in rows:
        assert file.startswith(REAL), (file, test)
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        tests = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert test in {node.name for node in tree.body if isinstance(node, tests)}, (file, test)


def test_each_credential_is_there() -> None:
    told = {row[0] for row in ROW.findall(_section())}
    assert [name for name in CREDENTIALS if not any(name in one for one in told)] == []


def test_no_line_is_there_twice() -> None:
    lines = [row[:3] for row in ROW.findall(_section())]
    assert len(set(lines)) == len(lines)
