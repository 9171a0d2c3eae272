"""A person logs in with the token in a real browser, which sends other headers than a program does,
stays logged in, and is told what was wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer

TOKEN: Final = "correct horse"


@pytest.fixture(params=["127.0.0.1", "localhost"])
def address(
    request: pytest.FixtureRequest, server: RedisServer, tmp_path: Path, browser: BrowserContext
) -> Iterator[str]:
    variables = {"EARSHOT_DASHBOARD__TOKEN": TOKEN, "EARSHOT_DASHBOARD__HOST": "127.0.0.1"}
    with DashboardProcess(tmp_path, server.url, variables) as board:
        yield board.url.replace("127.0.0.1", request.param)
    browser.clear_cookies()


def test_a_person_logs_in_and_stays(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#wrong")).to_have_text("Wrong token. Try again.")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_have_text("live")
    assert page.url == address
    page.reload()
    expect(page.locator("#link")).to_have_text("live")
