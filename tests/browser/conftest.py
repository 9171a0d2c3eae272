"""One browser for all tests of this folder: none of them may be a coroutine, for Playwright's own
event loop runs in the main thread meanwhile."""

from collections.abc import Iterator

import pytest
import soundfile
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from ops.demo.recording_file import AUDIO, read_sentences
from tests.browser.chromium import chromium
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer

expect.set_options(timeout=60_000)  # a busy machine's patience


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Into whose microphone somebody says the recording's first sentence, again and again."""
    spoken = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    audio, rate = soundfile.read(AUDIO, dtype="int16")
    first, second = read_sentences()[:2]
    soundfile.write(spoken, audio[: round((first.end_s + second.start_s) / 2 * rate)], rate)
    with chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
    ) as browser:
        yield browser


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page that fails the test if anything on it does."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))

    def on_console(message: ConsoleMessage) -> None:
        # what the server refuses, and that it is away, the browser notes by itself
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            failures.append(message.text)

    page.on("console", on_console)
    yield page
    page.close()
    assert failures == []


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(tcp=True, options={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture(scope="module")
def fake_pipeline(server: RedisServer) -> Iterator[FakePipeline]:
    with FakePipeline(server) as fake_pipeline:
        yield fake_pipeline


@pytest.fixture(scope="module")
def dashboard(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardProcess]:
    with DashboardProcess(tmp_path_factory.mktemp("dashboard"), server.url, {}) as dashboard:
        yield dashboard
