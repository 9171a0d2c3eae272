"""What stands on the dashboard can be read: its colours keep WCAG's contrast (level AA), in light
and in dark; and its style sheet names no other ones."""

import re
from typing import Final

import pytest

from tests.support.repository import ROOT

CSS: Final = (ROOT / "ops" / "dashboard" / "static" / "style.css").read_text(encoding="utf-8")

TEXT: Final = 4.5  # WCAG 2.2, 1.4.3
GRAPHICS: Final = 3.0  # WCAG 2.2, 1.4.11

ON_SURFACE: Final = (
    "text", "muted", "accent", "listening", "transcribing", "answering", "quiet", "error",
)  # fmt: skip
PAIRS: Final = [
    *((name, ground, TEXT) for name in ON_SURFACE for ground in ("surface", "ground", "chosen")),
    ("on-accent", "accent", TEXT),
    ("surface", "error", TEXT),
    ("error", "error-ground", TEXT),
    *((f"bar-{number}", "ground", GRAPHICS) for number in range(6)),
    *((f"bar-{number}", "surface", GRAPHICS) for number in range(6)),
    ("edge", "surface", GRAPHICS),
    ("edge", "ground", GRAPHICS),
]


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


LIGHT: Final = _colours(CSS.split("@media", 1)[0])
DARK: Final = LIGHT | _colours(CSS.split("@media", 2)[1])


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lower, higher = sorted((_luminance(one), _luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


@pytest.mark.parametrize(("front", "ground", "least"), PAIRS)
@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_it_can_be_read(scheme: dict[str, str], front: str, ground: str, least: float) -> None:
    assert _contrast(scheme[front], scheme[ground]) >= least


def test_both_schemes_have_every_colour() -> None:
    assert _colours(CSS.split("@media", 2)[1]).keys() == LIGHT.keys()


def test_no_colour_stands_outside_of_the_variables() -> None:
    rules = re.sub(r"--[\w-]+: #[0-9a-f]{6};", "", CSS)
    assert re.findall(r"#[0-9a-f]{3,8}\b(?=[; ])", rules) == []
    assert contrast_of_black_and_white() == pytest.approx(21)


def contrast_of_black_and_white() -> float:
    return _contrast("#000000", "#ffffff")
