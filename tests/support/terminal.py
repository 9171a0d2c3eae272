"""A terminal for commands that show more on one than in a pipe."""

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

DEADLINE_S = 60.0


class Terminal:
    """A terminal with a program in it."""

    def __init__(self, primary: int) -> None:
        self._primary = primary
        self.text = ""

    def close(self) -> None:
        """As when its window is closed: the kernel tells the programs in it by SIGHUP."""
        if self._primary >= 0:
            os.close(self._primary)
            self._primary = -1

    def press(self, key: str) -> None:
        os.write(self._primary, key.encode())

    @property
    def is_for_lines(self) -> bool:
        """Whether it echoes what is typed and hands it out by lines, as a shell expects."""
        flags: int = termios.tcgetattr(self._primary)[3]
        return flags & (termios.ICANON | termios.ECHO) == termios.ICANON | termios.ECHO

    def set_for_lines(self) -> None:
        """As a shell does when it takes over."""
        modes = termios.tcgetattr(self._primary)
        modes[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(self._primary, termios.TCSANOW, modes)

    def wait_for(self, text: str) -> None:
        """Reads on until this was printed; what came before it counts no more afterwards."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.text:
            assert time.monotonic() < deadline, self.text[-2_000:]
            if select.select([self._primary], [], [], 0.5)[0]:
                self.text += os.read(self._primary, 65_536).decode("utf-8", "replace")
        self.text = self.text.split(text, 1)[1]


@contextmanager
def in_terminal(
    arguments: list[str],
    env: dict[str, str],
    stdin: int | None = None,
    end: signal.Signals = signal.SIGTERM,
    status: int = 0,
) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    """A command with a terminal of its own (but for `stdin`), which `end` ends with `status`."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *arguments] if stdin is None else arguments,
        env=env,
        stdin=secondary if stdin is None else stdin,
        stdout=secondary,
        stderr=secondary,
    )
    os.close(secondary)
    terminal = Terminal(primary)
    try:
        yield terminal, process
        process.send_signal(end)
        assert process.wait(DEADLINE_S) == status
    finally:
        process.kill()
        process.wait()
        terminal.close()
