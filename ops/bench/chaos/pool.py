"""The pool of a run's processes: it starts them, kills and freezes them, and replaces the dead.

They are forked from a server process that has imported everything already. Otherwise a worker would
take longer to start than it has to live in a storm.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from common.closeable import AsyncCloseable
from ops.bench.chaos.speech import POISONED
from ops.demo.standin.parent import Parent

PRELOAD: Final = ["ops.bench.chaos.worker", "ops.bench.chaos.producer", "ops.demo.standin.server"]
RESTART_S: Final = 0.1
END_S: Final = 10.0


@dataclass(eq=False, slots=True)
class Member:
    """One place in the pool, and its present process."""

    name: str
    target: Callable[..., None]
    args: tuple[Any, ...]
    process: ForkServerProcess
    restarting: "asyncio.Task[None] | None" = None
    """Starts the process again whenever it ends."""
    frozen: bool = False
    down_s: float = RESTART_S
    """Time between the end of the process and its next start."""


@dataclass(slots=True)
class Deaths:
    """How many processes ended in which way."""

    poisoned: int = 0
    killed: int = 0
    crashed: list[str] = field(default_factory=list)
    """A sentence for each process that ended with an error of its own."""


class Pool(AsyncCloseable):
    """Keeps named processes running, and ends all of them when it is closed.

    Each process writes to NAME.log in `folder`. A process that ends is started again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._members: dict[str, Member] = {}
        self.deaths = Deaths()

    async def close(self) -> None:
        """End all processes."""
        await self.stop(*self._members)

    def start(self, name: str, target: Callable[..., None], *args: Any) -> None:
        """Start `target(*args)` and keep it running."""
        member = Member(name, target, args, self._spawn(name, target, args))
        self._members[name] = member
        member.restarting = asyncio.create_task(self._keep_running(member), name=f"keep {name}")

    def _spawn(
        self, name: str, target: Callable[..., None], args: tuple[Any, ...]
    ) -> ForkServerProcess:
        process = self._context.Process(
            name=name, target=_child, args=(self._folder / f"{name}.log", target, args), daemon=True
        )
        process.start()
        return process

    async def _keep_running(self, member: Member) -> None:
        while True:
            await _wait_for_exit(member.process)
            self._count(member)
            await asyncio.sleep(member.down_s)
            member.frozen, member.down_s = False, RESTART_S
            member.process = self._spawn(member.name, member.target, member.args)

    def _count(self, member: Member) -> None:
        status = member.process.exitcode
        if status == POISONED:
            self.deaths.poisoned += 1
        elif status == -signal.SIGKILL:
            self.deaths.killed += 1
        elif status != 0:
            self.deaths.crashed.append(f"{member.name} ended with exit status {status}")

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in self._members if name.startswith(prefix))

    def pid(self, name: str) -> int:
        """Return the id of the present process."""
        pid = self._members[name].process.pid
        assert pid is not None, "it was started"
        return pid

    def is_running(self, name: str) -> bool:
        """Return whether its process is neither frozen nor dead."""
        member = self._members[name]
        return member.process.is_alive() and not member.frozen

    def kill(self, name: str, *, down_s: float = RESTART_S) -> bool:
        """Send SIGKILL and start it again after `down_s`; return False if it is dead already."""
        member = self._members[name]
        if not member.process.is_alive():
            return False
        member.down_s = down_s
        member.process.kill()
        return True

    def freeze(self, name: str) -> bool:
        """Send SIGSTOP; return False if it is frozen already, or dead."""
        if not self.is_running(name):
            return False
        self._members[name].frozen = True
        self._signal(name, signal.SIGSTOP)
        return True

    def thaw(self, name: str) -> None:
        """Send SIGCONT."""
        self._members[name].frozen = False
        self._signal(name, signal.SIGCONT)

    def terminate(self, name: str) -> bool:
        """Send SIGTERM, as an operator would, and start it again when it has ended.

        Returns False, and sends nothing, while the process starts and does not catch SIGTERM yet.
        """
        if not _catches_sigterm(self.pid(name)):
            return False
        self._signal(name, signal.SIGTERM)
        return True

    def _signal(self, name: str, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid(name), number)

    async def stop(self, *names: str) -> None:
        """End these processes: with SIGTERM, and with SIGKILL those that do not end then."""
        members = [self._members.pop(name) for name in names]
        restarting = [member.restarting for member in members if member.restarting is not None]
        for task in restarting:
            task.cancel()
        await asyncio.gather(*restarting, return_exceptions=True)
        for member in members:
            if member.process.is_alive():
                os.kill(member.process.pid or 0, signal.SIGCONT)
                member.process.terminate()
        for member in members:
            try:
                async with asyncio.timeout(END_S):
                    await _wait_for_exit(member.process)
            except TimeoutError:
                member.process.kill()
                await _wait_for_exit(member.process)


def _child(log: Path, target: Callable[..., None], args: tuple[Any, ...]) -> None:
    # the fork server ends with the process that started the run, and this process with the server
    Parent().when_gone(lambda: os._exit(1))
    with log.open("ab") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    target(*args)


async def _wait_for_exit(process: ForkServerProcess) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def note_end() -> None:
        if not ended.done():
            ended.set_result(None)

    if not process.is_alive():
        return
    loop.add_reader(process.sentinel, note_end)
    try:
        await ended
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


def _catches_sigterm(pid: int) -> bool:
    """Return whether a process catches SIGTERM by now; True where the kernel does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
