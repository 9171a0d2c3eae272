"""One child process of the supervisor: its start, its output and its end."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from ops.local.die_with_parent import die_with_parent

LAST_LINES_S: Final = 1.0
"""How long to read the output of a dead child: a grandchild may keep the pipe open for ever."""

LINE_MAX: Final = 2**20
"""Longest line, in bytes. A longer one comes in pieces."""


class Child:
    """The process of a role. Each `start` makes a new one. `exit_status` is None while it runs.

    It has its own session, so the terminal's Ctrl+C does not reach it. The kernel sends it SIGTERM
    when this process dies.
    """

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], *, restart: bool
    ) -> None:
        self.name = name
        self.restart = restart
        self.last_line = ""
        self.exit_status: int | None = None
        self._argv = tuple(argv)
        self._env = dict(env) | {"PYTHONUNBUFFERED": "1"}
        self._process: Process | None = None
        self._stop_requested = asyncio.Event()

    @property
    def pid(self) -> int:
        """The id of the present process, or of the last one."""
        return self._running().pid

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop_requested.is_set()

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error. One that was killed and restarts has not failed."""
        if self.is_stopping or self.exit_status is None:
            return False
        return self.exit_status > 0 or (self.exit_status < 0 and not self.restart)

    @property
    def how_it_ended(self) -> str:
        """How the process ended, in words."""
        status = self.exit_status
        if status is None:
            return "still running"
        if status >= 0:
            return f"exit status {status}"
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"

    async def start(self) -> None:
        """Start the process; raises OSError if the program cannot run."""
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=self._env,
            limit=LINE_MAX,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        self.exit_status = None
        if self.is_stopping:
            self._signal(signal.SIGTERM)

    async def follow(self, on_line: Callable[[str, str], None]) -> None:
        """Call `on_line(name, line)` with each line of stdout and stderr until the process ends."""
        reading = asyncio.create_task(self._pass_lines(on_line))
        status = await self._running().wait()
        _, unfinished = await asyncio.wait({reading}, timeout=LAST_LINES_S)
        for task in unfinished:
            task.cancel()
        self.exit_status = status

    async def wait_for_stop_request(self, seconds: float) -> bool:
        """Wait for `request_stop`, `seconds` at most; return whether it was called."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop_requested.wait()
        return self.is_stopping

    def request_stop(self) -> None:
        """Send SIGTERM, but only once: a second one ends a role before its work is finished."""
        if not self.is_stopping:
            self._stop_requested.set()
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to it and to all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _running(self) -> Process:
        assert self._process is not None, "start comes first"
        return self._process

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._running().send_signal(number)

    async def _pass_lines(self, on_line: Callable[[str, str], None]) -> None:
        stream = self._running().stdout
        assert stream is not None
        while raw := await _read_line(stream):
            line = raw.decode(errors="replace").rstrip("\r\n")
            self.last_line = line or self.last_line
            with suppress(OSError, ValueError):  # nobody reads our output any more
                on_line(self.name, line)


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """Read the next line, or a piece of a long one; empty at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.readexactly(error.consumed)
