"""Running a role: signals ask it to end, and a second one ends the process."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

import structlog

from common.telemetry.logs import redirect_to_null
from ops.local.process_exit import INTERRUPTED, exit_now

HANGUP: Final = getattr(signal, "SIGHUP", None)  # None on Windows

log = structlog.get_logger(__name__)


def run_role(role: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a role until it ends; SIGTERM or Ctrl+C asks it to, a second one ends it now.

    So does the closing of its terminal, which a shell and the kernel may both tell: once.
    """

    async def until_signal() -> None:
        stop = asyncio.Event()

        def asked(number: int) -> None:
            if number == HANGUP:
                _let_go_of_closed_terminal()
                if stop.is_set():
                    return
            if stop.is_set():
                exit_now(INTERRUPTED)
            stop.set()  # first: whatever becomes of the line below, the role ends
            log.info("stopping", signal=signal.Signals(number).name, again="exits now")

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked, number)
        # nohup ignores it
        if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
            loop.add_signal_handler(HANGUP, asked, HANGUP)
        await role(stop)

    asyncio.run(until_signal())


def _let_go_of_closed_terminal() -> None:
    """What keeps a terminal up to date must not fail for want of it."""
    for stream in (sys.stdout, sys.stderr):
        watch = select.poll()
        watch.register(stream.fileno(), 0)  # that it is gone is told without being asked for
        if watch.poll(0):
            redirect_to_null(stream.fileno())


def exit_without_threads() -> NoReturn:
    """End the process without joining threads: a model half fetched, or a transcription that
    outlasted its claim, must not hold up a worker that has left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
