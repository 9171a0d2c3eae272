"""Whatever stands in an event, a dead letter or a worker's record, from whoever may write one, it
is text on the page: no script of it runs, nothing is loaded, and no link leads elsewhere."""

import json
import time
from typing import Any, Final

from playwright.sync_api import Page, Request, expect

from common.keys import WORKERS, Shard, worker_key
from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer

SHARD: Final = Shard(0)
EVIL: Final = (
    "\"'></title></textarea><img src=//evil.example/x onerror='window.hit = 1'>"
    "<script>window.hit = 1</script><svg onload='window.hit = 1'>"
    "<a href='javascript:window.hit = 1'>here</a> javascript:window.hit=1 ${window.hit = 1}"
)


def add_event(client: Any, kind: str, turn: int, **data: Any) -> None:
    now_ms = round(1000 * time.time())
    event = {"v": 1, "type": kind, "session": "hostile", "epoch": 1, "turn": turn, "id": EVIL[:40]}
    client.xadd(SHARD.results, event | {"id": f"u{turn}", "at": now_ms, "data": json.dumps(data)})


def test_no_field_is_more_than_text(
    page: Page, dashboard: DashboardProcess, server: RedisServer
) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    about = {"model": EVIL, "worker": EVIL, "language": EVIL, "finish_reason": EVIL}
    with server.sync_client() as client:
        add_event(client, "heard", 1, spoken_at=1, source=EVIL)
        add_event(client, "transcript", 1, text=EVIL, timings={"transcribed": 9.0}, **about)
        add_event(client, "reply", 1, text=EVIL, timings={"done": 99.0}, **about)
        add_event(client, "heard", 2, spoken_at=1, source=EVIL)
        add_event(client, "error", 2, stage=EVIL, reason=EVIL, error=EVIL)
        add_event(client, "error", 3, stage="llm", reason=EVIL, error=EVIL)
        add_event(client, "skipped", 4, reason="merged", into=3)
        letter = dict.fromkeys(
            ("session", "id", "stage", "reason", "error", "worker", "text", "source", "at", "turn",
             "replay_of", "codec", "rate", "samples", "deliveries", "left_out"), EVIL
        )  # fmt: skip
        client.xadd(SHARD.dead, letter)
        for role in ("stt", "llm", EVIL):
            record = {
                "name": EVIL + role,
                "role": role,
                "state": EVIL,
                "started_at": 1,
                "why": EVIL,
            }
            record |= {"waits_for": EVIL, "version": EVIL, "model": EVIL, "host": EVIL}
            client.set(worker_key(EVIL + role), json.dumps(record))
            client.zadd(WORKERS, {EVIL + role: time.time()})
    page.goto(f"{dashboard.url}#/conversations/hostile")
    expect(page.locator(".turn .replied .text").first).to_have_text(EVIL)
    for opener in page.locator(".opener:visible").all():
        opener.click()
    page.goto(f"{dashboard.url}#/dead")
    expect(page.locator(".letter .why").first).to_have_text(EVIL)
    page.goto(f"{dashboard.url}#/pipeline")
    expect(page.locator("body")).to_contain_text("evil.example")
    page.goto(f"{dashboard.url}#/conversations/{EVIL}")
    page.goto(f"{dashboard.url}?q={EVIL}#{EVIL}")
    expect(page.locator("#link")).to_have_text("live")
    assert page.evaluate("window.hit") is None
    assert [url for url in asked if not url.startswith((dashboard.url, "blob:", "data:"))] == []
    assert (
        page.locator("a[href^='javascript'], main img, main svg[onload], main script").count() == 0
    )
