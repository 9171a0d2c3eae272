"""The clients of docs/examples follow the results as the documentation says: from Python, from a
shell with redis-cli, and from a page of another origin that was let in."""

import contextlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.waiting import until_sync

EXAMPLES = ROOT / "docs" / "examples"
TOKEN = "a token"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    """Another origin, whose pages are the examples."""
    handler = partial(Quiet, directory=EXAMPLES)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def following(*arguments: str, log: Path) -> Iterator[None]:
    with (
        log.open("wb") as output,
        subprocess.Popen(arguments, stdout=output, stderr=output) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def test_from_python(server: RedisServer, fake_pipeline: FakePipeline, tmp_path: Path) -> None:
    log = tmp_path / "log"
    client = [sys.executable, str(EXAMPLES / "follow.py"), server.url, "0"]
    with following(*client, log=log):
        fake_pipeline.say("kitchen", "What time is it?")
        fake_pipeline.answer("kitchen", "It is <b>late</b>.")
        until_sync(log.read_text, lambda text: "told" in text)
        server.restart()
        fake_pipeline.speak("kitchen")
        fake_pipeline.skip()
        lines = until_sync(log.read_text, lambda text: "noise" in text).splitlines()
    assert lines == [
        "kitchen said: What time is it?",
        "kitchen was told: It is <b>late</b>.",
        "kitchen: skipped, noise",
    ]


def test_from_a_shell(server: RedisServer, fake_pipeline: FakePipeline, tmp_path: Path) -> None:
    log = tmp_path / "log"
    number = 0

    def ask() -> str:
        # until it follows, what is said is not new to it
        nonlocal number
        number += 1
        fake_pipeline.say(f"17-{number}", "Hello\nthere")
        fake_pipeline.answer(f"17-{number}", "Good day.")
        return log.read_text()

    with following(str(EXAMPLES / "follow.sh"), "-p", str(server.port), log=log):
        until_sync(ask, lambda text: text.count("Good day.") >= 2)
    shown = [line.split(" ", 2) for line in log.read_text().splitlines()]
    assert {line[0] for line in shown} == {"heard", "transcript", "reply"}
    assert all(line[1].startswith("17-") and line[2].startswith("{") for line in shown)
    assert len(shown) == len({(line[0], line[1]) for line in shown}), "an event came twice"


def test_from_a_page_of_another_origin(
    page: Page, server: RedisServer, fake_pipeline: FakePipeline, origin: str, tmp_path: Path
) -> None:
    variables = {
        "EARSHOT_DASHBOARD__TOKEN": TOKEN,
        "EARSHOT_DASHBOARD__HOST": "127.0.0.1",
        "EARSHOT_DASHBOARD__ORIGINS": f"https://other.example,{origin}",
    }
    with DashboardProcess(tmp_path, server.url, variables) as dashboard:
        page.goto(f"{origin}/follow.html")
        page.fill("#url", dashboard.url)
        page.fill("#token", TOKEN)
        with page.expect_response("**/events*"):
            page.click("button")
        fake_pipeline.say("office", "Who is there?")
        expect(page.locator("li")).to_have_text(["office said: Who is there?"])
        dashboard.stop()
        fake_pipeline.answer("office", "<i>Nobody</i>.")
        dashboard.start()
        expect(page.locator("li")).to_have_text(
            ["office said: Who is there?", "office was told: <i>Nobody</i>."]
        )
