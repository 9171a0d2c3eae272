"""What the pages for people name is there: settings, log events, files and links."""

import re
from pathlib import Path
from typing import Final

import pytest

from common.settings import PREFIX, Settings
from tests.support.repository import ROOT

PROSE: Final = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "ops" / "training" / "README.md",
    ROOT / "workers" / "stt" / "demo_model" / "README.md",
]
SOURCES: Final = ("common", "producer", "workers", "ops")
FOLDERS: Final = (*SOURCES, "tests", "docs")

PATH: Final = re.compile(rf"(?:^|[\s:=,(])((?:{'|'.join(FOLDERS)})/[\w./-]*\w)")
"""A path from the root of the tree."""

MODULE_FILE: Final = re.compile(r"[\w-]+\.(?:py|lua|js)")
"""The name of a module without its folder."""

RUN_MODULE: Final = re.compile(r"python -m ((?:common|producer|workers|ops|tests)[\w.]*)")


def _settings() -> set[str]:
    known = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        path = PREFIX + name.upper()
        known |= {f"{path}__{leaf.upper()}" for leaf in inner} if inner else {path}
    return known


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_exists(page: Path) -> None:
    known = _settings()
    named = set(re.findall(rf"{PREFIX}[A-Z]\w+", page.read_text()))
    assert named - known - {f"{name}_FILE" for name in known} == set()


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_heading_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        file, _, heading = target.partition("#")
        linked = (page.parent / file) if file else page
        assert linked.exists(), target
        if heading:
            text = linked.read_text()
            assert heading in map(_anchor, re.findall(r"^#+ (.*)$", text, re.MULTILINE)), target


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_folder_of_the_tree_exists(page: Path) -> None:
    code = _code(page.read_text())
    paths = {path for text in code for path in PATH.findall(text)}
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    modules = {name for text in code for name in RUN_MODULE.findall(text)}
    assert {name for name in modules if not _is_module(name)} == set()


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_named_without_its_folder_exists_once_or_beside_the_page(page: Path) -> None:
    tree = [path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]
    named = {text for text in _code(page.read_text()) if MODULE_FILE.fullmatch(text)}
    assert {n for n in named if tree.count(n) != 1 and not (page.parent / n).exists()} == set()


def _code(text: str) -> list[str]:
    """What stands in backticks, and the lines of blocks of code."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}(.*)$", prose, re.MULTILINE)
    lines = [line for block in fenced for line in block.splitlines()]
    return [*lines, *indented, *re.findall(r"`([^`]+)`", prose)]


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_event_that_operators_are_told_of_is_logged() -> None:
    table = (ROOT / "docs" / "operations.md").read_text().split("## What each failure")[1]
    rows = re.findall(r"^\| (`.*?) \|", table.split("\n## ")[0], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", row)}
    logged = "\n".join(
        path.read_text() for folder in SOURCES for path in (ROOT / folder).rglob("*.py")
    )
    assert named
    assert {name for name in named if f'"{name}"' not in logged} == set()
