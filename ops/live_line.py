"""The one line that `earshot listen` keeps up to date on a terminal."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

import structlog
from rich.console import Console
from rich.live import Live
from rich.text import Text
from structlog.typing import EventDict, WrappedLogger

from common import logs
from common.settings import LogSettings
from ops.last_moment import at_the_last_moment
from ops.meter import meter

REDRAWN_HZ: Final = 10

NOTICES: Final = ("Skipped", "done_listening")
"""What else of the ordinary log lines is worth a line above it: the rest is in the line."""


@dataclass(frozen=True, slots=True)
class State:
    """What the line shows."""

    level_dbfs: float
    speaking_s: float | None
    """None: nobody speaks."""
    sent: int
    waiting: int
    """Utterances in the outbox."""
    is_muted: bool
    has_keys: bool


def shown(state: State) -> Text:
    """The line."""
    line = meter(state.level_dbfs)
    if state.is_muted:
        line.append("  muted       ", style="bold red")
    elif state.speaking_s is None:
        line.append("  listening   ", style="dim")
    else:
        line.append(f"  speaking {state.speaking_s:4.1f}s", style="bold")
    line.append(f"  sent {state.sent}  waiting {state.waiting}")
    if state.has_keys:
        line.append(f"   m: {'unmute' if state.is_muted else 'mute'}", style="dim")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def is_wanted(settings: LogSettings) -> bool:
    """Whether a person watches: stderr is a terminal that can redraw a line, and logs are for
    people."""
    console = Console(stderr=True)
    return settings.format != "json" and console.is_terminal and not console.is_dumb_terminal


@contextmanager
def live_line(settings: LogSettings, state: Callable[[], State]) -> Iterator[None]:
    """Shows the line on stderr, log lines above it, until left; at the level `info` only warnings
    and NOTICES are logged."""
    live = Live(
        console=Console(stderr=True),
        refresh_per_second=REDRAWN_HZ,
        transient=True,
        redirect_stdout=False,
        get_renderable=lambda: shown(state()),
    )
    terminal = live.console.file
    try:
        with live, at_the_last_moment(lambda: _show_cursor(terminal)):
            logs.set_up(settings)  # anew: stderr is now what prints above the line
            if settings.level == "info":
                structlog.configure(
                    processors=[_notices_only, *structlog.get_config()["processors"]]
                )
            yield
    finally:
        logs.set_up(settings)


def _show_cursor(terminal: IO[str]) -> None:
    # past the console, whose lock may be held; below the line, which stays where it is
    os.write(terminal.fileno(), b"\r\n\x1b[?25h")


def _notices_only(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if method == "info" and not str(event.get("event", "")).startswith(NOTICES):
        raise structlog.DropEvent
    return event
