"""One browser for all tests of this folder: none of them may be a coroutine, for Playwright's own
event loop runs in the main thread meanwhile."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from tests.browser.chromium import chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[BrowserContext]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page that fails the test if anything on it does."""
    page = browser.new_page()
    page.set_default_timeout(30_000)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))

    def on_console(message: ConsoleMessage) -> None:
        # a server that is being restarted cannot be reached, which the browser notes by itself
        if message.type == "error" and "net::ERR" not in message.text:
            failures.append(message.text)

    page.on("console", on_console)
    yield page
    page.close()
    assert failures == []
