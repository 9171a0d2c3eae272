"""A page shows what is there, whatever times and numbers events of others hold."""

import json
from typing import Any, Final

from playwright.sync_api import Page, expect

from common.keys import Shard
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer

SHARD: Final = Shard(0)
NUMBERS: Final = ("1e400", "-1e400", "NaN", "1e308", "-1e308", "1e60", "-1e60", "0", "-1")
TIMES: Final = (*map(str, (0, -1, 1, 10**15, -(10**15), 10**60, -(10**60), 2**63)), "NaN", "1e400")


def test_no_number_of_one_event_hides_another(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline, server: RedisServer
) -> None:
    fake_pipeline.say("before", "said before")
    fake_pipeline.answer("before", "answered before")
    page.goto(f"{dashboard.url}#/conversations")
    expect(page.locator("#link")).to_have_text("live")
    with server.sync_client() as client:

        def add(kind: str, turn: int, data: str, **more: Any) -> None:
            event = {"v": 1, "type": kind, "session": "odd", "epoch": 1, "turn": turn, "id": "u"}
            now = client.time()[0] * 1000
            client.xadd(SHARD.results, event | {"at": now, "data": data} | more)

        for turn, number in enumerate(NUMBERS, 1):
            spans = ", ".join(
                f'"{name}": {number}'
                for name in ("published", "stt_started", "transcribed", "llm_started", "done")
            )
            timings = f'"timings": {{{spans}}}'
            add("heard", turn, f'{{"spoken_at": {number}}}')
            add("transcript", turn, f'{{"text": "t", "avg_logprob": {number}, {timings}}}')
            add("reply", turn, f'{{"text": "r", {timings}}}')
        for turn, at in enumerate(TIMES, 100):
            add("transcript", turn, json.dumps({"text": "at"}), at=at)
        client.xadd(SHARD.dead, dict.fromkeys(("at", "samples", "speech_ms"), "9" * 19))
    fake_pipeline.say("after", "said after")
    fake_pipeline.answer("after", "answered after")
    for session in ("before", "after"):
        expect(page.locator(".session", has_text=session)).to_be_visible()
    for _ in range(2):  # as they came, and as the overview tells them
        for session in ("before", "after"):
            page.goto(f"{dashboard.url}#/conversations/{session}")
            shown = page.locator(".turn .replied .text:visible")
            expect(shown).to_have_text([f"answered {session}"])
        page.goto(f"{dashboard.url}#/conversations/odd")
        ended = page.locator(".turn .replied:not(.pending) .text:visible")
        expect(ended).to_have_text(["r"] * len(NUMBERS))
        for opener in page.locator(".opener:visible").all():
            opener.click()
        for place in ("pipeline", "dead"):
            page.goto(f"{dashboard.url}#/{place}")
            expect(page.locator(f"#{place}")).to_be_visible()
        page.reload()
    assert "Traceback" not in dashboard.log
