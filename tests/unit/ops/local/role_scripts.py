"""Small programs for a supervisor to run, and a sink that hears them."""

import sys

import psutil

from tests.support.waiting import until

DEADLINE_S = 30.0

FOREVER = "print('up', flush=True); import time; time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + FOREVER
POLITE = """
import signal, sys, time
def leave(number, frame):
    print('asked', number, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGINT, leave)
print('up', flush=True)
while True:
    time.sleep(600)
"""


def python_command(source: str) -> list[str]:
    return [sys.executable, "-c", source]


class HeardLines:
    """A sink that a test can await."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    async def until(self, name: str, line: str, times: int = 1) -> None:
        await until(lambda: self.lines.count((name, line)) >= times)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
