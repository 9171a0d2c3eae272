"""What the pages for people name is there: settings, log events, files and links."""

import re
from pathlib import Path
from typing import Final

import pytest

from common.settings import PREFIX, Settings
from tests.support.repository import ROOT

PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES: Final = ("common", "producer", "workers", "ops")


def _settings() -> set[str]:
    known = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        path = PREFIX + name.upper()
        known |= {f"{path}__{leaf.upper()}" for leaf in inner} if inner else {path}
    return known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_exists(page: Path) -> None:
    known = _settings()
    named = set(re.findall(rf"{PREFIX}[A-Z]\w+", page.read_text()))
    assert named - known - {f"{name}_FILE" for name in known} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
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
