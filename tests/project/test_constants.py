"""Constants have one style: `NAME: Final = value`, and a docstring below where one is needed."""

import ast
import re
from collections.abc import Iterator

import pytest

from ops.docs.folders import ROOT, find_modules

CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]+")
ADVICE = "see the rules for texts in CONTRIBUTING.md"


def find_faults(source: str) -> Iterator[str]:
    """What is wrong with the constants of a module, in sentences."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if not isinstance(target, ast.Name) or not CONSTANT.fullmatch(target.id):
            continue
        annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        if not annotation.startswith("Final"):
            yield f"{target.id} is not Final"
        if node.lineno > 1 and lines[node.lineno - 2].startswith("#"):
            yield f"the comment above {target.id} should be a docstring below it"
        assert node.end_lineno is not None
        last = lines[node.end_lineno - 1]
        if re.search(r"  # (?!noqa|type:|fmt:)", last):
            yield f"the comment behind {target.id} should be a docstring below it"


def test_constants_have_one_style() -> None:
    faults = {
        f"{path}: {fault}"
        for path in find_modules().values()
        for fault in find_faults((ROOT / path).read_text(encoding="utf-8"))
    }
    assert not faults, f"{sorted(faults)}; {ADVICE}"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("LIMIT = 3", "LIMIT is not Final"),
        ("LIMIT: int = 3", "LIMIT is not Final"),
        ("_LIMIT: Final = 3  # words", "the comment behind _LIMIT"),
        ("WORDS: Final = (\n    'a',\n)  # two", "the comment behind WORDS"),
        ("import re\n# so many\nLIMIT: Final = 3", "the comment above LIMIT"),
    ],
)
def test_another_style_is_found(source: str, fault: str) -> None:
    (found,) = find_faults(source)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "source",
    [
        'LIMIT: Final = 3\n"""Words that fit."""',
        "WORDS: Final[tuple[str, ...]] = (\n    'a',  # the first\n)  # fmt: skip",
        "Samples = list[int]",
        "def count() -> int:\n    LIMIT = 3  # words\n    return LIMIT",
    ],
)
def test_the_one_style_is_accepted(source: str) -> None:
    assert list(find_faults(source)) == []
