"""The status line of `earshot listen` on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from rich.console import Console
from rich.live import Live
from rich.text import Text
from structlog.typing import EventDict, WrappedLogger

from common.settings import LogSettings
from common.telemetry import logs
from ops.cli.terminal.drawing import restored_terminal
from ops.cli.terminal.meter import WIDTH, draw_meter

REDRAW_HZ: Final = 10

FULL_WIDTH: Final = 72
"""Columns that the complete line needs."""

SPEAKING_WIDTH: Final = len("  speaking 12.3s")
NUMBER_WIDTH: Final = len("  -60 dB")
"""Columns after the bar of the meter."""

SHOWN_IN_LINE: Final = frozenset(
    {"listening", "muted", "unmuted", "utterance_heard", "utterance_sent"}
)
"""Log events that say what the line shows."""


@dataclass(frozen=True, slots=True)
class ListenState:
    """What the line shows."""

    level_dbfs: float
    speaking_s: float | None
    """None if nobody speaks."""
    sent: int
    waiting: int
    """Utterances in the outbox."""
    is_muted: bool
    has_keys: bool
    trouble: str = ""
    """Why it cannot hear or send, in two words. Empty if it can."""


def render(state: ListenState, columns: int = 80) -> Text:
    """Render the line. If there is too little room, the bar gets shorter."""
    words = Text()
    if state.is_muted:
        words.append("  muted", style="bold red")
    elif state.speaking_s is None:
        words.append("  listening", style="dim")
    else:
        words.append(f"  speaking {state.speaking_s:4.1f}s", style="bold")
    if state.trouble:
        words.append(f"  {state.trouble}", style="bold yellow")
    elif columns >= FULL_WIDTH:
        # so that the words behind it do not move when somebody begins to speak
        words.pad_right(SPEAKING_WIDTH - len(words))
    words.append(f"  sent {state.sent}  waiting {state.waiting}")
    if state.has_keys:
        words.append(f"   m: {'unmute' if state.is_muted else 'mute'}", style="dim")
    room = columns - len(words) - NUMBER_WIDTH
    line = draw_meter(state.level_dbfs, min(WIDTH, max(0, room))).append_text(words)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def is_live_terminal(settings: LogSettings) -> bool:
    """Return whether stderr is a terminal that can redraw a line, and logs are for people."""
    console = Console(stderr=True)
    # console.is_terminal is also true for a file, if FORCE_COLOR is set
    return settings.format != "json" and sys.stderr.isatty() and not console.is_dumb_terminal


@contextmanager
def live_line(settings: LogSettings, state: Callable[[], ListenState]) -> Iterator[None]:
    """Show the line on stderr until the context ends. Log lines appear above it.

    At the log level `info`, the events of SHOWN_IN_LINE are not logged.
    """
    console = Console(stderr=True)
    live = Live(
        console=console,
        refresh_per_second=REDRAW_HZ,
        transient=True,
        redirect_stdout=False,
        get_renderable=lambda: render(state(), console.width),
    )
    try:
        with restored_terminal(console.file, live):
            logs.set_up(settings)  # again, so that log lines appear above the line
            if settings.level == "info":
                structlog.configure(
                    processors=[_drop_shown_events, *structlog.get_config()["processors"]]
                )
            yield
    finally:
        logs.set_up(settings)


def _drop_shown_events(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if method == "info" and event.get("event") in SHOWN_IN_LINE:
        raise structlog.DropEvent
    return event
