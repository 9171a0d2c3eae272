"""The level meter of `earshot devices --level`."""

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
from ops.cli.terminal.drawing import restored_terminal
from ops.cli.terminal.meter import draw_meter
from producer.sources.level import peak_dbfs, rms_dbfs
from producer.sources.source import Source

_REDRAW_EVERY_S: Final = 0.1
_PRINT_EVERY_S: Final = 1.0


def show_level(source: Source, seconds: float, settings: LogSettings) -> None:
    """Show the level of the source for `seconds` of audio, or until it ends.

    On a terminal a bar moves, with warnings above it. Elsewhere one line per second is printed.
    """
    console = Console()
    if not console.is_terminal:
        for audio in _chunks(source, seconds, _PRINT_EVERY_S):
            click.echo(f"{rms_dbfs(audio):.0f} dB, peak {peak_dbfs(audio):.0f} dB")
        return
    live = Live(console=console, auto_refresh=False, transient=True)
    with restored_terminal(console.file, live):
        logs.set_up(settings)  # again, so that log lines appear above the meter
        for audio in _chunks(source, seconds, _REDRAW_EVERY_S):
            line = Text(f"{source.name}  ").append_text(draw_meter(rms_dbfs(audio)))
            live.update(line.append(f"  peak {peak_dbfs(audio):.0f} dB"), refresh=True)
    logs.set_up(settings)


def _chunks(source: Source, seconds: float, length_s: float) -> Iterator[NDArray[np.int16]]:
    """Yield `seconds` of the source's audio, in pieces of about `length_s`."""
    frames: list[NDArray[np.int16]] = []
    in_piece = in_all = 0
    for frame in source:
        frames.append(frame)
        in_piece += len(frame)
        in_all += len(frame)
        is_last = in_all >= seconds * SAMPLE_RATE
        if in_piece >= length_s * SAMPLE_RATE or is_last:
            yield np.concatenate(frames)
            frames, in_piece = [], 0
        if is_last:
            return
