"""The one line that `earshot listen` keeps up to date on a terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

import structlog
from rich.console import Console
from rich.live import Live
from rich.text import Text
from structlog.typing import EventDict, WrappedLogger

from common.settings import LogSettings
from common.telemetry import logs
from ops.cli.terminal.meter import WIDTH, draw_meter
from ops.local.process_exit import restore_on_exit

REDRAWN_HZ: Final = 10

WIDE: Final = 72
"""Columns for the whole line."""
SPEAKING: Final = len("  speaking 12.3s")
NUMBER: Final = len("  -60 dB")
"""What follows the bar of the meter."""

SHOWN_IN_LINE: Final = frozenset(
    {"listening", "muted", "unmuted", "utterance_heard", "utterance_sent"}
)
"""The ordinary log lines that say what the line shows anyway."""


@dataclass(frozen=True, slots=True)
class ListenState:
    """What the line shows."""

    level_dbfs: float
    speaking_s: float | None
    """None: nobody speaks."""
    sent: int
    waiting: int
    """Utterances in the outbox."""
    is_muted: bool
    has_keys: bool
    trouble: str = ""
    """What keeps it from hearing or from sending, in two words; empty: nothing does."""


def render(state: ListenState, columns: int = 80) -> Text:
    """The line; where there is little room its words are worth more than its bar."""
    words = Text()
    if state.is_muted:
        words.append("  muted", style="bold red")
    elif state.speaking_s is None:
        words.append("  listening", style="dim")
    else:
        words.append(f"  speaking {state.speaking_s:4.1f}s", style="bold")
    if state.trouble:
        words.append(f"  {state.trouble}", style="bold yellow")
    elif columns >= WIDE:
        words.pad_right(SPEAKING - len(words))  # so that nothing moves when somebody speaks
    words.append(f"  sent {state.sent}  waiting {state.waiting}")
    if state.has_keys:
        words.append(f"   m: {'unmute' if state.is_muted else 'mute'}", style="dim")
    room = columns - len(words) - NUMBER
    line = draw_meter(state.level_dbfs, min(WIDTH, max(0, room))).append_text(words)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def is_live_terminal(settings: LogSettings) -> bool:
    """Whether a person watches: stderr is a terminal that can redraw a line, and logs are for
    people."""
    console = Console(stderr=True)
    # not console.is_terminal: FORCE_COLOR makes one of a file
    return settings.format != "json" and sys.stderr.isatty() and not console.is_dumb_terminal


@contextmanager
def live_line(settings: LogSettings, state: Callable[[], ListenState]) -> Iterator[None]:
    """Shows the line on stderr, log lines above it, until left; at the level `info` those
    that say what is IN_THE_LINE are left out."""
    console = Console(stderr=True)
    live = Live(
        console=console,
        refresh_per_second=REDRAWN_HZ,
        transient=True,
        redirect_stdout=False,
        get_renderable=lambda: render(state(), console.width),
    )
    terminal = console.file
    try:
        with live, restore_on_exit(lambda: _show_cursor(terminal)):
            logs.set_up(settings)  # anew: stderr is now what prints above the line
            if settings.level == "info":
                structlog.configure(
                    processors=[_drop_shown_events, *structlog.get_config()["processors"]]
                )
            yield
    finally:
        logs.set_up(settings)


def _show_cursor(terminal: IO[str]) -> None:
    # past the console, whose lock may be held; below the line, which stays where it is
    os.write(terminal.fileno(), b"\r\n\x1b[?25h")


def _drop_shown_events(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if method == "info" and event.get("event") in SHOWN_IN_LINE:
        raise structlog.DropEvent
    return event
