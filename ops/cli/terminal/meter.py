"""A sound level as a bar."""

from typing import Final

from rich.text import Text

WIDTH: Final = 24
QUIETEST_DBFS: Final = -60.0
"""The left end of the bar: a quiet room."""

LOUD_DBFS: Final = -6.0
"""From this level the bar is red: the next loud word may clip."""

GOOD_DBFS: Final = -40.0
"""From this level the bar is green: detectors hear such a voice well."""


def draw_meter(level_dbfs: float, width: int = WIDTH) -> Text:
    """Draw the level (dB of full scale) as a bar of `width` characters and a number."""
    share = (level_dbfs - QUIETEST_DBFS) / -QUIETEST_DBFS
    filled = round(width * min(max(share, 0.0), 1.0))
    color = "red" if level_dbfs >= LOUD_DBFS else "green" if level_dbfs >= GOOD_DBFS else "yellow"
    bar = Text("█" * filled, style=color)
    bar.append("·" * (width - filled), style="dim")
    bar.append(f" {level_dbfs:4.0f} dB", style="default")
    return bar
