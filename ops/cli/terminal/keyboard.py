"""Single keys from a terminal, while it is ours to read."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

from ops.local.process_exit import restore_on_exit

_LOOK_EVERY_S: Final = 0.5
"""How soon it is noticed that a shell has given the terminal to us, or to another job."""


@contextmanager
def read_keys(pressed: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Calls `pressed` in the event loop with each key; yields what tells whether there is a
    keyboard now.

    It is the terminal of our session, whatever stdin and stderr are. There is none for a service,
    while the process runs in its shell's background (reading there would stop it), and on systems
    without termios. Ctrl+C stays a signal. The terminal is set back at the end.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield lambda: False
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        yield lambda: False
        return
    keyboard = _Keyboard(terminal, pressed, termios, tty)
    with ExitStack() as stack:
        stack.callback(os.close, terminal)
        stack.callback(keyboard.restore)
        stack.enter_context(restore_on_exit(keyboard.restore))
        keyboard.check()
        yield lambda: keyboard.is_ours


class _Keyboard:
    def __init__(
        self, terminal: int, pressed: Callable[[str], None], termios: Any, tty: Any
    ) -> None:
        self._terminal = terminal
        self._pressed = pressed
        self._termios = termios
        self._tty = tty
        self._loop = asyncio.get_running_loop()
        self._before: list[Any] | None = None
        self._next: asyncio.TimerHandle | None = None
        self.is_ours = False

    def check(self) -> None:
        """Take the terminal if it has become ours, let go of it if it is no longer."""
        if not self._in_foreground():
            self._release()
        elif not (self.is_ours and self._is_by_keys()):  # after Ctrl+Z and `fg` it is by lines
            self._take()
        self._next = self._loop.call_later(_LOOK_EVERY_S, self.check)

    def restore(self) -> None:
        """Set the terminal back."""
        if self._next is not None:
            self._next.cancel()
        if self.is_ours and self._in_foreground():
            with suppress(self._termios.error):  # it was closed
                self._termios.tcsetattr(self._terminal, self._termios.TCSANOW, self._before)
        self._release()

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # it was closed
            return False

    def _is_by_keys(self) -> bool:
        try:
            return not self._termios.tcgetattr(self._terminal)[3] & self._termios.ICANON
        except self._termios.error:  # it was closed
            return True

    def _take(self) -> None:
        try:
            # as it was at first: later on it may be our own doing
            self._before = self._before or self._termios.tcgetattr(self._terminal)
            # now: what is still to be printed may be held up for long, by Ctrl+S; and what was
            # typed before was not meant for us
            self._tty.setcbreak(self._terminal, self._termios.TCSANOW)
            self._termios.tcflush(self._terminal, self._termios.TCIFLUSH)
        except self._termios.error:  # it was closed
            return
        self.is_ours = True
        self._loop.add_reader(self._terminal, self._read)

    def _release(self) -> None:
        self.is_ours = False
        self._loop.remove_reader(self._terminal)

    def _read(self) -> None:
        if not self._in_foreground():
            self._release()
            return
        try:
            read = os.read(self._terminal, 64)
        except BlockingIOError:  # the shell has read it while we were stopped
            return
        except OSError:
            read = b""
        if not read:  # the terminal has gone
            self._release()
        for key in read.decode("utf-8", "ignore"):
            self._pressed(key)
