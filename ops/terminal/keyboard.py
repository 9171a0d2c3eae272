"""Single keys from a terminal, while it is ours to read."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[bool]:
    """Calls `pressed` in the event loop with each key; yields whether there is a keyboard.

    There is none where stdin is no terminal, where the process runs in its background (reading
    there would stop it), and on systems without termios. Ctrl+C stays a signal. The terminal is
    set back at the end.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield False
        return
    try:
        terminal = sys.stdin.fileno()
        is_ours = os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # closed, replaced, or not our session's
        is_ours = False
    if not is_ours:
        yield False
        return
    loop = asyncio.get_running_loop()

    def readable() -> None:
        read = os.read(terminal, 64)
        if not read:  # the terminal has gone
            loop.remove_reader(terminal)
        for key in read.decode("utf-8", "ignore"):
            pressed(key)

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    loop.add_reader(terminal, readable)
    try:
        yield True
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
