"""/metrics, /healthz and /readyz: true answers with a sentence, also from a process that is stuck,
and never at the expense of the process."""

import asyncio
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable

import pytest
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from structlog.testing import capture_logs

from common.settings import MetricsSettings
from common.telemetry import monitoring
from common.telemetry.monitoring import serve_monitoring, serve_pages
from ops.local.machine import find_free_port


def page(port: int, path: str) -> tuple[int, str]:
    """Status and text, asked for without a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def well() -> str:
    return ""


@pytest.fixture
def settings() -> MetricsSettings:
    return MetricsSettings(port=find_free_port())


class Two(Collector):
    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily("earshot_test_two", "Two.")]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily("earshot_test_two", "Two.", value=2)]


def test_a_role_without_an_event_loop_is_served_as_well(settings: MetricsSettings) -> None:
    why = "the queue is away"
    with serve_pages(settings, alive=well, ready=lambda: why, collectors=[Two()]):
        assert page(settings.port, "healthz") == (200, "ok\n")
        assert page(settings.port, "readyz") == (503, "the queue is away\n")
        status, metrics = page(settings.port, "metrics")
        assert status == 200
        assert "earshot_test_two 2.0" in metrics
        assert "earshot_turns_total" in metrics
        assert page(settings.port, "else")[0] == 404
    assert REGISTRY.get_sample_value("earshot_test_two") is None
    with pytest.raises(urllib.error.URLError):
        page(settings.port, "healthz")


def test_without_a_port_nothing_is_served() -> None:
    def never() -> str:
        raise AssertionError("nobody asked")

    with serve_pages(MetricsSettings(), alive=never, ready=never, collectors=[Two()]):
        assert REGISTRY.get_sample_value("earshot_test_two") is None


def test_a_port_that_is_taken_costs_the_pages_and_not_the_process(
    settings: MetricsSettings,
) -> None:
    with serve_pages(settings, alive=well, ready=well):
        with capture_logs() as lines, serve_pages(settings, alive=well, ready=lambda: "another"):
            assert page(settings.port, "readyz") == (200, "ok\n")
        (line,) = lines
        assert (line["event"], line["log_level"]) == ("metrics_not_served", "warning")


def test_an_address_that_is_not_ours_costs_the_pages_and_not_the_process() -> None:
    with (
        capture_logs() as lines,
        serve_pages(MetricsSettings(host="192.0.2.1", port=9464), alive=well, ready=well),
    ):
        assert [line["event"] for line in lines] == ["metrics_not_served"]


async def test_readiness_is_asked_in_the_roles_own_loop(settings: MetricsSettings) -> None:
    loops = []

    async def ready() -> str:
        loops.append(asyncio.get_running_loop())
        return "" if len(loops) > 1 else "not yet"

    async with serve_monitoring(settings, ready=ready):
        assert await asyncio.to_thread(page, settings.port, "readyz") == (503, "not yet\n")
        assert await asyncio.to_thread(page, settings.port, "readyz") == (200, "ok\n")
        assert await asyncio.to_thread(page, settings.port, "healthz") == (200, "ok\n")
    assert set(loops) == {asyncio.get_running_loop()}


async def test_a_loop_that_is_stuck_is_found_out(
    settings: MetricsSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitoring, "STUCK_S", 0.2)
    monkeypatch.setattr(monitoring, "READY_S", 0.1)

    async def ready() -> str:
        return ""

    answers: list[tuple[int, str]] = []
    asked = threading.Event()

    def ask() -> None:
        answers.extend(page(settings.port, path) for path in ("healthz", "readyz", "metrics"))
        asked.set()

    async with serve_monitoring(settings, ready=ready):
        threading.Thread(target=ask).start()
        assert asked.wait(60), "this blocks the loop, and is meant to"
    (alive, alive_why), (readiness, ready_why), (metrics, _) = answers
    assert (alive, alive_why) == (503, "the event loop has not turned for 0.2 s\n")
    assert (readiness, ready_why) == (503, "no answer from the process for 0.1 s\n")
    assert metrics == 200


def test_a_client_that_says_nothing_keeps_nobody_waiting(settings: MetricsSettings) -> None:
    with (
        serve_pages(settings, alive=well, ready=well),
        socket.create_connection(("127.0.0.1", settings.port)),
    ):
        assert page(settings.port, "healthz") == (200, "ok\n")
