"""No model of pydantic shows in an error what it refused: that may be speech, or a password, and a
traceback would put it into a log."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.repository import ROOT

SOURCES = [
    path
    for folder in ("common", "ops", "producer", "workers")
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(ROOT / "ops" / "demo")  # it hears no real speech
]
SWITCH = "hide_input_in_errors=True"


def models_and_adapters(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the source of each model, and of each TypeAdapter that is made."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base) for base in node.bases}
            if bases & {"BaseModel", "BaseSettings"}:
                yield node.name, ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("TypeAdapter"):
            source = ast.unparse(node)
            yield source, source.replace("config=_HIDDEN", SWITCH)


def test_each_of_them_hides_its_input() -> None:
    found = [
        (str(path.relative_to(ROOT)), name, SWITCH in source)
        for path in SOURCES
        for name, source in models_and_adapters(path.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 8
    assert [one for one in found if not one[2]] == []


@pytest.mark.parametrize(
    "text",
    ["class A(BaseModel):\n    x: int", "class A(BaseSettings):\n    x: int", "TypeAdapter(int)"],
)
def test_one_that_does_not_is_found(text: str) -> None:
    assert [SWITCH in source for _, source in models_and_adapters(text)] == [False]
