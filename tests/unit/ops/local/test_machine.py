"""The processes of one machine do not want the same port for their pages, and its Redis is kept
running."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from common.settings.loading import load_settings
from ops.local import machine
from ops.local.embedded_redis import EmbeddedRedis, find_server
from ops.local.machine import Machine, keep_running
from tests.support.environments import clear_environment
from tests.support.waiting import until


class Spawned:
    """A supervisor that starts nothing; `ports` are those that the roles were given."""

    def __init__(self) -> None:
        self.ports: dict[str, str] = {}

    async def spawn(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], *, restart: bool
    ) -> None:
        self.ports[name] = env["EARSHOT_METRICS__PORT"]


async def _start(port: int) -> dict[str, str]:
    spawned = Spawned()
    nothing: Any = None
    settings = load_settings({"metrics": {"port": port}})
    parts = Machine(settings, cast("Any", spawned), nothing, nothing, asyncio.Event())
    await parts.start_workers(stt=2, llm=1)
    await parts.start("listen", "listen")
    return spawned.ports


async def test_each_process_gets_the_next_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clear_environment(monkeypatch, tmp_path)
    assert await _start(9_464) == {
        "stt-1": "9464",
        "stt-2": "9465",
        "llm-1": "9466",
        "listen": "9467",
    }


async def test_without_a_port_there_are_no_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clear_environment(monkeypatch, tmp_path)
    assert set((await _start(0)).values()) == {"0"}


async def test_a_redis_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "CHECK_S", 0.01)
    server = tmp_path / "server"
    server.symlink_to(find_server())
    with EmbeddedRedis(tmp_path / "data", server=server) as redis, capture_logs() as logs:
        keeping = asyncio.create_task(keep_running(redis))
        server.unlink()
        server.symlink_to("/bin/false")
        os.kill(redis.pid, signal.SIGKILL)
        await until(lambda: "embedded_redis_not_started" in {line["event"] for line in logs})
        server.unlink()
        server.symlink_to(find_server())
        await until(lambda: redis.running)
        keeping.cancel()
