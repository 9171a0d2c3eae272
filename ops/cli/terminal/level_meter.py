"""The meter of `earshot devices --level`."""

from collections.abc import Iterator
from typing import Final

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.text import Text

from common.audio import SAMPLE_RATE
from common.settings import LogSettings
from common.telemetry import logs
from ops.cli.terminal.meter import draw_meter
from producer.sources.level import peak_dbfs, rms_dbfs
from producer.sources.source import Source

_SHOWN_S: Final = 0.1
_PRINTED_S: Final = 1.0


def show_level(source: Source, seconds: float, settings: LogSettings) -> None:
    """Show the source's level for so many seconds of audio, or until it ends.

    On a terminal it is a moving bar with warnings above it, elsewhere one line per second.
    """
    console = Console()
    if not console.is_terminal:
        for audio in _chunks(source, seconds, _PRINTED_S):
            click.echo(f"{rms_dbfs(audio):.0f} dB, peak {peak_dbfs(audio):.0f} dB")
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        logs.set_up(settings)  # again: stderr now prints above the meter
        for audio in _chunks(source, seconds, _SHOWN_S):
            line = Text(f"{source.name}  ").append_text(draw_meter(rms_dbfs(audio)))
            live.update(line.append(f"  peak {peak_dbfs(audio):.0f} dB"), refresh=True)
    logs.set_up(settings)


def _chunks(source: Source, seconds: float, length_s: float) -> Iterator[NDArray[np.int16]]:
    """Yield the source's audio in pieces of about `length_s`."""
    frames: list[NDArray[np.int16]] = []
    gathered = passed = 0
    for frame in source:
        frames.append(frame)
        gathered += len(frame)
        passed += len(frame)
        is_over = passed >= seconds * SAMPLE_RATE
        if gathered >= length_s * SAMPLE_RATE or is_over:
            yield np.concatenate(frames)
            frames, gathered = [], 0
        if is_over:
            return
