"""Single key presses, read from the terminal while this process may read from it."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

from ops.local.process_exit import restore_on_exit

_LOOK_EVERY_S: Final = 0.5
"""How often to check whether the shell has given the terminal to us or to another process."""


@contextmanager
def read_keys(on_key: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Call `on_key` in the event loop with each key. Yields a function: is there a keyboard now?

    It reads the terminal of our session, whatever stdin and stderr are. There is no keyboard in a
    service, in the background of a shell (reading would stop the process), and on a system without
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
    keyboard = _Keyboard(terminal, on_key, termios, tty)
    with ExitStack() as stack:
        stack.callback(os.close, terminal)
        stack.callback(keyboard.restore)
        stack.enter_context(restore_on_exit(keyboard.restore))
        keyboard.check()
        yield lambda: keyboard.is_ours


class _Keyboard:
    def __init__(
        self, terminal: int, on_key: Callable[[str], None], termios: Any, tty: Any
    ) -> None:
        self._terminal = terminal
        self._on_key = on_key
        self._termios = termios
        self._tty = tty
        self._loop = asyncio.get_running_loop()
        self._before: list[Any] | None = None
        self._next: asyncio.TimerHandle | None = None
        self.is_ours = False

    def check(self) -> None:
        """Read from the terminal if we may; stop reading if we no longer may."""
        if not self._in_foreground():
            self._release()
        elif not (self.is_ours and self._delivers_single_keys()):
            # at the beginning, or after Ctrl+Z and `fg`, when the shell has reset the terminal
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

    def _delivers_single_keys(self) -> bool:
        try:
            return not self._termios.tcgetattr(self._terminal)[3] & self._termios.ICANON
        except self._termios.error:  # it was closed
            return True

    def _take(self) -> None:
        try:
            # only the first time, because a later state may be our own
            self._before = self._before or self._termios.tcgetattr(self._terminal)
            # TCSANOW does not wait for pending output, which Ctrl+S may block. TCIFLUSH drops
            # earlier keys, which were not meant for us.
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
        except BlockingIOError:  # the shell has read the key while we were stopped
            return
        except OSError:
            read = b""
        if not read:  # the terminal is gone
            self._release()
        for key in read.decode("utf-8", "ignore"):
            self._on_key(key)
