"""A terminal for commands that show more on one than in a pipe."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

DEADLINE_S = 60.0


class Terminal:
    """A terminal with a program in it."""

    def __init__(self, primary: int) -> None:
        self._primary = primary
        self.text = ""

    def press(self, key: str) -> None:
        os.write(self._primary, key.encode())

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
) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    """A command with a terminal of its own (but for `stdin`), which `end` ends with status 0."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *arguments] if stdin is None else arguments,
        env=env,
        stdin=secondary if stdin is None else stdin,
        stdout=secondary,
        stderr=secondary,
    )
    os.close(secondary)
    try:
        yield Terminal(primary), process
        process.send_signal(end)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(primary)
