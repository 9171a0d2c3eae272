"""Drawing on a terminal so that it is usable again, however the process ends."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, Final

from ops.local.process_exit import restore_on_exit

SHOW_CURSOR: Final = b"\r\n\x1b[?25h"
"""On a line of its own: what was drawn stays above it."""

LEAVE_PAGE: Final = b"\x1b[?1049l\x1b[?25h"
"""Back from the page that a full screen is drawn on (xterm's alternate screen)."""


@contextmanager
def restored_terminal(
    terminal: IO[str], display: AbstractContextManager[object], *, is_full_screen: bool = False
) -> Iterator[None]:
    """Open a display of Rich on a terminal, and restore the terminal also if it is never closed.

    Rich hides the cursor while it draws, and shows it again when the display is closed. Three ends
    come before that: Ctrl+C while it is being opened, a second Ctrl+C in a role (`exit_now`), and
    SIGTERM where nothing handles it.
    """

    def restore() -> None:
        # without the console, whose lock may be held
        os.write(terminal.fileno(), LEAVE_PAGE if is_full_screen else SHOW_CURSOR)

    is_open = False
    with restore_on_exit(restore), _restored_before_death(restore):
        try:
            with display:
                is_open = True
                yield
        except BaseException:
            if not is_open:
                restore()
            raise


@contextmanager
def _restored_before_death(restore: Callable[[], None]) -> Iterator[None]:
    """Restore the terminal before SIGTERM kills the process, unless something handles it."""
    is_main = threading.current_thread() is threading.main_thread()  # only it sets handlers
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def die(number: int, _frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        try:
            restore()
        finally:
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, die)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
