"""Running a role until a signal: the first one stops it, the second one ends the process."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

import structlog

from common.telemetry.logs import redirect_to_null
from ops.local.closed_output import is_closed
from ops.local.process_exit import INTERRUPTED, exit_now

HANGUP: Final = getattr(signal, "SIGHUP", None)
"""None on Windows, which lacks the signal."""

log = structlog.get_logger(__name__)


def run_role(role: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a role until it ends. SIGTERM or Ctrl+C asks it to stop; a second one ends it at once.

    SIGHUP, which comes when the terminal is closed, asks it to stop as well. A second SIGHUP does
    nothing, because the shell and the kernel may both send one.
    """

    async def run_with_handlers() -> None:
        stop = asyncio.Event()

        def handle_signal(number: int) -> None:
            if number == HANGUP:
                _redirect_closed_output()
                if stop.is_set():
                    return
            if stop.is_set():
                exit_now(INTERRUPTED)
            stop.set()  # before the log, which may fail
            log.info("stopping", signal=signal.Signals(number).name, again="exits now")

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, handle_signal, number)
        # under `nohup` it must stay ignored
        if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
            loop.add_signal_handler(HANGUP, handle_signal, HANGUP)
        await role(stop)

    asyncio.run(run_with_handlers())


def _redirect_closed_output() -> None:
    """Redirect output to a closed terminal, so that later writes do not fail."""
    for stream in (sys.stdout, sys.stderr):
        if is_closed(stream.fileno()):
            redirect_to_null(stream.fileno())


def exit_without_threads() -> NoReturn:
    """End the process without waiting for threads.

    A model download, or a transcription whose claim was lost, must not delay a worker that has
    stopped.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
