"""A time that no calendar holds is shown as what it is, and hides nothing else on the page."""

from playwright.sync_api import Page, expect

from common.keys import Shard
from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer


def test_a_dead_letter_of_no_time_is_listed(
    page: Page, dashboard: DashboardProcess, server: RedisServer
) -> None:
    with server.sync_client() as client:
        client.xadd(Shard(0).dead, {"session": "s", "error": "in its time"})
        client.xadd(Shard(0).dead, {"session": "s", "error": "out of time"}, id=f"{10**18}-0")
    page.goto(f"{dashboard.url}#/dead")
    expect(page.locator(".letter .why")).to_have_text(["out of time", "in its time"])
    expect(page.locator(".letter").first).to_contain_text("at an unknown time")
