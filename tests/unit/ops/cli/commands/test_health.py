"""`earshot health` asks the process behind EARSHOT_METRICS__PORT: its exit status is the answer."""

import socket
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.settings import MetricsSettings
from common.telemetry.monitoring import serve_pages
from ops.local.machine import find_free_port
from tests.support.command_line import InProcessCommand
from tests.support.environments import clear_environment, restored_logging


@pytest.fixture
def earshot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[InProcessCommand]:
    clear_environment(monkeypatch, tmp_path)
    # whatever proxy there is, the process is on this machine
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    with restored_logging():
        yield InProcessCommand(monkeypatch, capsys)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_tells_alive_from_ready(
    earshot: InProcessCommand, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    port = find_free_port()
    monkeypatch.setenv("EARSHOT_METRICS__HOST", host)
    monkeypatch.setenv("EARSHOT_METRICS__PORT", str(port))
    why = ["Redis is away"]
    settings = MetricsSettings(host=host, port=port)
    with capture_logs(), serve_pages(settings, alive=lambda: "", ready=lambda: why[0]):
        assert earshot("health") == (0, "ok\n", "")
        assert earshot("health", "--ready") == (1, "", "earshot: Redis is away\n")
        why[0] = ""
        assert earshot("health", "--ready") == (0, "ok\n", "")
    status, _, told = earshot("health")
    assert status == 1
    assert f"http://127.0.0.1:{port}/healthz does not answer" in told


def test_without_a_port_nothing_can_be_asked(earshot: InProcessCommand) -> None:
    status, _, told = earshot("health")
    assert status == 2
    assert "EARSHOT_METRICS__PORT is not set" in told


@pytest.mark.parametrize("host", ["foo bar", "a..b"])
def test_what_is_no_host_is_told(host: str, earshot: InProcessCommand) -> None:
    status, _, told = earshot("health", "--host", host, "--port", "1")
    assert status == 1
    assert "does not answer" in told
    assert "Traceback" not in told


def test_what_is_not_earshot_is_told(earshot: InProcessCommand) -> None:
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        status, _, told = earshot("health", "--port", str(other.server_port))
        other.shutdown()
    assert status == 1
    assert "is not earshot" in told
    assert "<" not in told
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_mumble, args=(listener,), daemon=True).start()
        status, _, told = earshot("health", "--port", str(listener.getsockname()[1]))
    assert status == 1
    assert "does not answer" in told


def _mumble(listener: socket.socket) -> None:
    """What a server says that speaks no HTTP."""
    visitor, _ = listener.accept()
    with visitor:
        visitor.sendall(b"-ERR unknown command\r\n")
