"""No Python file is longer than a reader can take in at once."""

from ops.docs.folders import PACKAGES
from tests.support.repository import ROOT

MOST_LINES = 320
"""CONTRIBUTING.md asks for 300; a small change to a full file need not split it."""


def test_no_python_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in (*PACKAGES, "tests")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert "ops/docs/folders.py" in lengths
    too_long = {path: lines for path, lines in lengths.items() if lines > MOST_LINES}
    assert too_long == {}, "split them by what they are for"
