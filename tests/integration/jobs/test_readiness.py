"""`earshot jobs` is ready when its workers are, and only while Redis is there and lets them."""

import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.local.machine import find_free_port
from tests.support.command_line import CommandProcesses, finish
from tests.support.redis_server import RedisServer
from tests.support.secured_redis import SecuredRedis
from tests.support.waiting import until_sync


@pytest.fixture
def earshot(tmp_path: Path) -> Iterator[CommandProcesses]:
    processes = CommandProcesses(
        tmp_path,
        EARSHOT_METRICS__PORT=str(find_free_port()),
        EARSHOT_JOBS__BEAT_S="1",
        EARSHOT_LISTEN__OUTBOX=str(tmp_path / "outbox"),
    )
    yield processes
    processes.close()


def why_not(earshot: CommandProcesses) -> str | None:
    """Why it is not ready; empty if it is, None if nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    page = f"http://127.0.0.1:{earshot.variables['EARSHOT_METRICS__PORT']}/readyz"
    try:
        with opener.open(page, timeout=10):
            return ""
    except urllib.error.HTTPError as error:
        said: str = error.read().decode()
        return said
    except OSError:
        return None


def logged_until(process: subprocess.Popen[str], event: str) -> str:
    """What it has logged by then."""
    assert process.stderr is not None
    logged = ""
    while event not in logged:
        line = process.stderr.readline()
        assert line, logged
        logged += line
    return logged


def test_an_absence_of_redis_is_seen(redis_server: RedisServer, earshot: CommandProcesses) -> None:
    process = earshot.start("jobs", EARSHOT_REDIS__URL=redis_server.url)
    until_sync(lambda: why_not(earshot) == "")
    redis_server.kill()
    until_sync(lambda: "cannot be reached" in (why_not(earshot) or ""))
    logged = logged_until(process, "redis_is_away")
    redis_server.start()
    until_sync(lambda: why_not(earshot) == "")
    logged += logged_until(process, "redis_is_back")
    process.send_signal(signal.SIGTERM)
    status, _, rest = finish(process)
    assert status == 0
    assert (logged + rest).count("redis_is_away") == 1


def test_a_user_that_may_not_run_jobs_is_told_and_is_never_ready(
    secured: SecuredRedis, earshot: CommandProcesses
) -> None:
    process = earshot.start("jobs", **secured.variables("stt"))
    until_sync(lambda: "does not permit what this role needs" in (why_not(earshot) or ""))
    logged = logged_until(process, "worker_refused")
    process.send_signal(signal.SIGTERM)
    status, _, rest = finish(process)
    assert status == 0
    logged += rest
    assert '"event": "ready"' not in logged
    assert "Traceback" not in logged
