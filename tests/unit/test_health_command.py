"""`earshot health` asks the process behind EARSHOT_METRICS__PORT: its exit status is the answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.monitoring import served
from common.settings import MetricsSettings
from tests.command_line import InProcess
from tests.integration.redis_server import free_port
from tests.unit.environments import clean, own_logging


@pytest.fixture
def earshot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[InProcess]:
    clean(monkeypatch, tmp_path)
    # whatever proxy there is, the process is on this machine
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    with own_logging():
        yield InProcess(monkeypatch, capsys)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_tells_alive_from_ready(
    earshot: InProcess, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    port = free_port()
    monkeypatch.setenv("EARSHOT_METRICS__HOST", host)
    monkeypatch.setenv("EARSHOT_METRICS__PORT", str(port))
    why = ["Redis is away"]
    settings = MetricsSettings(host=host, port=port)
    with capture_logs(), served(settings, alive=lambda: "", ready=lambda: why[0]):
        assert earshot("health") == (0, "ok\n", "")
        assert earshot("health", "--ready") == (1, "", "earshot: Redis is away\n")
        why[0] = ""
        assert earshot("health", "--ready") == (0, "ok\n", "")
    status, _, told = earshot("health")
    assert status == 1
    assert f"http://127.0.0.1:{port}/healthz does not answer" in told


def test_without_a_port_nothing_can_be_asked(earshot: InProcess) -> None:
    status, _, told = earshot("health")
    assert status == 2
    assert "EARSHOT_METRICS__PORT is not set" in told
