"""All roles on one machine, for `earshot up`, `earshot demo` and benchmarks."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from common.backoff import Backoff
from common.redis.link import Link
from common.redis.opening import make_link, open_store, wait_for_redis
from common.redis.store import Store
from common.settings import Settings
from common.settings.loading import environment_without_settings, list_origins, load_settings
from common.status.snapshot import take_snapshot
from common.stopping import run_until_stopped
from ops.demo.standin import MODEL, READY
from ops.local.embedded_redis import EmbeddedRedis
from ops.local.redis_program import NoEmbeddedRedis
from ops.local.supervisor import (
    MAX_PAUSE_S,
    StopRequested,
    Supervisor,
    role_command,
    role_environment,
)

POLL_S: Final = 0.1
CHECK_S: Final = 1.0
STAND_IN_START_S: Final = 30.0

OnLine = Callable[[str, str], None]

log = structlog.get_logger(__name__)


def find_free_port() -> int:
    """Find a free TCP port, for a server that keeps its port when it restarts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Machine:
    """The running processes. `settings` are those of the roles."""

    settings: Settings
    supervisor: Supervisor
    store: Store
    link: Link
    stop: asyncio.Event
    _workers: int = 0
    _started: int = 0

    async def start_workers(self, *, stt: int, llm: int) -> None:
        """Start worker processes. `wait_until_ready` waits for them."""
        for role, count in (("stt", stt), ("llm", llm)):
            for number in range(1, count + 1):
                await self.start(f"{role}-{number}", role)
        self._workers = stt + llm

    async def start(self, name: str, role: str, *arguments: str, restart: bool = True) -> None:
        """Start one role with this machine's settings."""
        await self.supervisor.spawn(
            name,
            role_command(role, *arguments),
            role_environment(self._with_own_metrics_port(self.settings)),
            restart=restart,
        )

    def _with_own_metrics_port(self, settings: Settings) -> Settings:
        """Return the settings with the next metrics port, if metrics are on: one per process."""
        if not settings.metrics.port:
            return settings
        port = settings.metrics.port + self._started
        self._started += 1
        return settings.model_copy(
            update={"metrics": settings.metrics.model_copy(update={"port": port})}
        )

    async def wait_until_ready(self, timeout_s: float | None) -> None:
        """Wait until all workers have started. Raises what Supervisor.wait_for raises."""
        all_started = wait_for_workers(self.link, self.store, self._workers)
        await self.supervisor.wait_for(all_started, stop=self.stop, timeout_s=timeout_s)


async def wait_for_workers(link: Link, store: Store, count: int) -> None:
    """Wait until this many workers have started, even if they wait for their LLM server."""
    while True:
        snapshot = await link.retry_until_answered(take_snapshot, store)
        if sum(worker.has_started for worker in snapshot.workers) >= count:
            return
        await asyncio.sleep(POLL_S)


def chosen_settings(settings: Settings, values: Mapping[str, Any]) -> set[str]:
    """Return the names of the settings that are not defaults, as `section.name`.

    `values` are those with which the settings were loaded.
    """
    return {row.name for row in list_origins(settings, values) if row.origin != "default"}


@asynccontextmanager
async def run_machine(
    values: dict[str, Any],
    stop: asyncio.Event,
    on_line: OnLine,
    *,
    redis_folder: Path | None,
    own_redis: bool,
    stand_in: bool,
) -> AsyncIterator[Machine]:
    """Start Redis (`own_redis`) and the stand-in LLM (`stand_in`); stop all roles at the end.

    `values` are this machine's settings, nested as in earshot.toml. `redis_folder` None means a
    temporary folder. Raises StopRequested if `stop` is set before everything has started.
    """
    async with AsyncExitStack() as stack:
        if own_redis:
            redis = stack.enter_context(EmbeddedRedis(redis_folder))
            values["redis"] = redis.settings
            restarting = asyncio.create_task(keep_running(redis))
            stack.callback(restarting.cancel)
        lines = _LineWatcher(on_line)
        supervisor = await stack.enter_async_context(Supervisor(lines))
        if stand_in:
            url = await _start_stand_in(supervisor, stop, lines)
            values["llm"] = values.get("llm", {}) | {"base_url": url, "model": MODEL}
        settings = load_settings(values)
        store = await stack.enter_async_context(open_store(settings))
        link = make_link(store, settings)
        await run_until_stopped(stop, wait_for_redis(link, store, settings))
        if stop.is_set():
            raise StopRequested
        yield Machine(settings, supervisor, store, link, stop)


async def keep_running(redis: EmbeddedRedis) -> None:
    """Restart the embedded Redis with its data whenever it dies."""
    pauses = Backoff(CHECK_S, MAX_PAUSE_S, spread=None)
    while True:
        await asyncio.sleep(pauses.next_pause())
        if redis.running:
            pauses.reset()
            continue
        log.warning("embedded_redis_restarts", folder=str(redis.folder))
        try:
            redis.start()
        except NoEmbeddedRedis as error:  # perhaps its disk is full, which a person can change
            log.error("embedded_redis_not_started", why=str(error), again_in_s=pauses.pause_s)


async def _start_stand_in(
    supervisor: Supervisor, stop: asyncio.Event, lines: "_LineWatcher"
) -> str:
    """Start the stand-in LLM on a free port, which it keeps when it restarts; return its URL."""
    port = find_free_port()
    argv = [sys.executable, "-P", "-m", "ops.demo.standin", "--port", str(port), "--no-steerable"]
    await supervisor.spawn("stand-in", argv, environment_without_settings())
    await supervisor.wait_for(lines.stand_in_ready.wait(), stop=stop, timeout_s=STAND_IN_START_S)
    return f"http://127.0.0.1:{port}/v1"


class _LineWatcher:
    """Passes the lines of the roles on, and notices when the stand-in is ready."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self.stand_in_ready = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        if line.startswith(READY):
            self.stand_in_ready.set()
        self._on_line(name, line)
