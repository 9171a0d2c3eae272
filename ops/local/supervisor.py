"""The supervisor: it runs roles as child processes, and restarts those that are killed.

Each child has its own session. So Ctrl+C in the terminal reaches only the parent, which then asks
each child once to stop. If the parent is killed, the kernel sends SIGTERM to each child.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

import structlog

from common.backoff import Backoff
from common.closeable import AsyncCloseable
from common.errors import EarshotError
from common.settings import Settings
from common.settings.loading import environment_without_settings, settings_as_environment
from ops.local.child import Child

FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 15.0
STEADY_S: Final = 30.0
"""If a role that has run this long dies, the pauses before its restarts begin short again."""

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class RoleEnded(EarshotError):
    """A role failed while the others waited for it."""


class NotReady(EarshotError):
    """The roles run, but did not become ready in time."""


class StopRequested(Exception):
    """Somebody stopped the command before everything was ready. This is no error."""


def role_command(role: str, *arguments: str) -> list[str]:
    """Return the argv that runs an earshot role with this Python: `role_command("stt")`.

    With -P, Python ignores folders named `common` or `ops` in the working directory.
    """
    return [sys.executable, "-P", "-m", "ops.cli", role, *arguments]


def role_environment(settings: Settings) -> dict[str, str]:
    """Return the complete environment of a role with these settings.

    The role logs into a pipe, so this process decides what the log format `auto` means.
    """
    if settings.log.format == "auto":
        form = "console" if sys.stderr.isatty() else "json"
        log_settings = settings.log.model_copy(update={"format": form})
        settings = settings.model_copy(update={"log": log_settings})
    return environment_without_settings() | settings_as_environment(settings)


def print_to_stderr(name: str, line: str) -> None:
    """Print a role's line to stderr, after the role's name."""
    print(f"{name:>6} | {line}", file=sys.stderr, flush=True)


class Supervisor(AsyncCloseable):
    """Runs roles. When it is closed, every role has ended.

    `on_line(name, line)` gets the output of the roles (stdout and stderr, without line ends). The
    roles may take `grace_s` to end; it must exceed EARSHOT_WORKER__DRAIN_TIMEOUT_S. The caller
    handles signals: it sets the `stop` event of `wait_for`, and leaves the context.
    """

    def __init__(
        self,
        on_line: Callable[[str, str], None] = print_to_stderr,
        *,
        grace_s: float = 25.0,
        first_pause_s: float = FIRST_PAUSE_S,
        max_pause_s: float = MAX_PAUSE_S,
    ) -> None:
        self._on_line = on_line
        self._grace_s = grace_s
        self._first_pause_s = first_pause_s
        self._max_pause_s = max_pause_s
        self._roles: dict[str, tuple[Child, asyncio.Task[int]]] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    async def close(self) -> None:
        """Stop all roles."""
        await self.stop()

    async def spawn(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        restart: bool = True,
    ) -> None:
        """Start a role. `env` is its complete environment, by default that of this process.

        A role that dies (by a signal or with a status other than 0) restarts after a pause, which
        doubles each time, unless `restart` is false. While somebody waits (`wait_for`), a status
        above 0 ends the wait with RoleEnded. Raises OSError if it cannot start, and
        ValueError if the name is in use.
        """
        if name in self._roles:
            raise ValueError(f"there is a role {name} already")
        child = Child(name, argv, os.environ if env is None else env, restart=restart)
        await child.start()
        self._roles[name] = (
            child,
            asyncio.create_task(self._keep_running(child), name=f"role {name}"),
        )

    def pid(self, name: str) -> int:
        """Return the process id of a role. The process may have died just now."""
        return self._roles[name][0].pid

    async def wait_for_end(self, name: str) -> int:
        """Wait until a role ends for good; return its exit status, negative for a signal."""
        return await asyncio.shield(self._roles[name][1])

    async def wait_for(
        self, condition: Awaitable[Answer], *, stop: asyncio.Event, timeout_s: float | None = None
    ) -> Answer:
        """Wait for a condition, for example until the roles are ready.

        Raises RoleEnded if a role fails meanwhile, with the role's last line as the reason;
        NotReady after `timeout_s`; and StopRequested if `stop` is set.
        """
        failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(failure)
        for child, _ in self._roles.values():
            self._report_failure(child)
        ready = asyncio.ensure_future(condition)
        stopped = asyncio.create_task(stop.wait())
        both: set[asyncio.Future[object]] = {ready, stopped}  # type: ignore[arg-type]  # Future is invariant
        try:
            await asyncio.wait(
                both | {failure}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ready.done():
                return ready.result()
            if stopped.done():
                raise StopRequested
            if failure.done():
                failure.result()
            raise NotReady(f"not ready after {timeout_s:g} s: {self._last_lines()}")
        finally:
            self._waiting.discard(failure)
            failure.cancel()
            for task in both:
                task.cancel()
            await asyncio.gather(failure, *both, return_exceptions=True)

    async def stop(self, *names: str) -> None:
        """Stop the named roles, or all. Sends SIGTERM once, and SIGKILL after `grace_s`."""
        roles = {name: self._roles[name] for name in names or tuple(self._roles)}
        if not roles:
            return
        for child, _ in roles.values():
            child.request_stop()
        _, slow = await asyncio.wait([task for _, task in roles.values()], timeout=self._grace_s)
        for child, task in roles.values():
            if task in slow:
                log.warning("role_killed", role=child.name, after_s=self._grace_s)
                child.kill()
            await task
            self._roles.pop(child.name, None)

    async def _keep_running(self, child: Child) -> int:
        loop = asyncio.get_running_loop()
        pauses = Backoff(self._first_pause_s, self._max_pause_s, spread=None)
        while True:
            started = loop.time()
            await child.follow(self._on_line)
            assert child.exit_status is not None
            if child.is_stopping or child.exit_status == 0:
                log.debug("role_ended", role=child.name, how=child.how_it_ended)
                return child.exit_status
            self._report_failure(child)
            if not child.restart:
                log.warning("role_ended", role=child.name, how=child.how_it_ended)
                return child.exit_status
            if loop.time() - started > STEADY_S:
                pauses.reset()
            pause_s = pauses.next_pause()
            log.warning(
                "role_restarts", role=child.name, how=child.how_it_ended, again_in_s=pause_s
            )
            if not await self._start_again(child, pause_s):
                return child.exit_status

    async def _start_again(self, child: Child, pause_s: float) -> bool:
        """Restart the child after the pause; return False if it was asked to stop meanwhile."""
        while not await child.wait_for_stop_request(pause_s):
            try:
                await child.start()
            except OSError as error:  # too little memory, or too many processes
                log.error("role_not_started", role=child.name, why=str(error))
                pause_s = self._max_pause_s
            else:
                return True
        return False

    def _report_failure(self, child: Child) -> None:
        """Raise RoleEnded in everybody who waits, if the child has failed."""
        if not child.has_failed:
            return
        reason = f": {child.last_line}" if child.last_line else ""
        for future in self._waiting:
            if not future.done():
                future.set_exception(
                    RoleEnded(f"{child.name} ended ({child.how_it_ended}){reason}")
                )

    def _last_lines(self) -> str:
        lines = [f"{child.name} said {child.last_line!r}" for child, _ in self._roles.values()]
        return "; ".join(lines) or "no role was started"
