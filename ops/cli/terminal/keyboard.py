"""Single key presses from the terminal, while this process may read it."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

from ops.local.process_exit import restore_on_exit

_LOOK_EVERY_S: Final = 0.5
"""How often to check whether the shell gave the terminal to us or to another job."""


@contextmanager
def read_keys(pressed: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Call `pressed` in the event loop with each key; yield a function: is there a keyboard now?

    It reads the terminal of our session, whatever stdin and stderr are. A service has no keyboard,
    nor has a process in the background of its shell (reading would stop it), nor a system without
    termios. Ctrl+C stays a signal. The terminal is restored at the end.
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
        """Take the terminal if it is ours now; release it if it no longer is."""
        if not self._in_foreground():
            self._release()
        elif not (
            self.is_ours and self._is_by_keys()
        ):  # after Ctrl+Z and `fg` the shell has set it back
            self._take()
        self._next = self._loop.call_later(_LOOK_EVERY_S, self.check)

    def restore(self) -> None:
        """Restore the terminal."""
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
            # the first state: a later one may be our own
            self._before = self._before or self._termios.tcgetattr(self._terminal)
            # TCSANOW: Ctrl+S may block pending output for long. TCIFLUSH: earlier keys were not
            # meant for us.
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
        except BlockingIOError:  # the shell read it while we were stopped
            return
        except OSError:
            read = b""
        if not read:  # the terminal is gone
            self._release()
        for key in read.decode("utf-8", "ignore"):
            self._pressed(key)
