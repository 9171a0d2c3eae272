"""The page shows what waits and who works on what; a dead letter is listened to, replayed by a
click, and dropped only by one who has said so twice."""

import json
import time

from playwright.sync_api import Page, expect

from common.keys import WORKERS, worker_key
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import LLM, STT, FakePipeline
from tests.support.redis_server import RedisServer

AWAY = "the LLM server at http://h:1/v1 cannot be reached <b>at all</b>"


def _report(server: RedisServer, name: str, role: str, **more: str) -> None:
    state = {"name": name, "role": role, "state": "ready", "started_at": time.time() - 600} | more
    with server.sync_client() as client:
        client.set(worker_key(name), json.dumps(state))
        client.zadd(WORKERS, {name: time.time()})


def test_a_dead_letter_is_heard_and_replayed_by_a_click(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    fake_pipeline.speak("cellar", seconds=1.5)
    fake_pipeline.bury("the engine <i>fell over</i>")
    page.goto(f"{dashboard.url}#/dead")
    letter = page.locator(".letter")
    expect(letter.locator(".why")).to_have_text("the engine <i>fell over</i>")
    expect(letter).to_contain_text("session cellar")
    length = letter.locator("audio").evaluate(
        "audio => new Promise((resolve, reject) => {"
        " audio.onloadedmetadata = () => resolve(audio.duration); audio.onerror = reject;"
        " audio.preload = 'metadata'; audio.load(); })"
    )
    assert length == 1.5
    letter.get_by_role("button", name="Replay").click()
    expect(page.locator("#dead [role=status]")).to_contain_text(
        "replayed as turn 2 of session cellar"
    )
    expect(letter).to_have_count(0)
    fake_pipeline.transcribe("Who is there?")
    fake_pipeline.answer("cellar", "Nobody.")
    page.goto(f"{dashboard.url}#/conversations/cellar")
    expect(page.locator(".turn .replied .text:visible")).to_have_text(["Nobody."])


def test_a_dead_letter_is_dropped_only_when_that_is_confirmed(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    fake_pipeline.speak("barn")
    fake_pipeline.bury("it is no FLAC")
    page.goto(f"{dashboard.url}#/dead")
    letter = page.locator(".letter")
    drop = letter.get_by_role("button", name="Drop")
    drop.click()
    page.get_by_role("button", name="Keep it").click()
    drop.click()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(letter).to_have_count(1)
    drop.click()
    page.get_by_role("button", name="Drop it").click()
    expect(page.locator("#dead [role=status]")).to_contain_text("dropped")
    expect(page.locator("#dead .empty")).to_be_visible()


def test_what_waits_who_holds_it_and_the_llm_server(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline, server: RedisServer
) -> None:
    _report(server, STT, "stt", model="demo")
    _report(server, LLM, "llm")
    _report(server, "llm-2", "llm", state="waiting", waits_for=AWAY)
    for _ in range(3):
        fake_pipeline.speak("yard")
    fake_pipeline.say("hall", "Is anybody in?")
    attempt = fake_pipeline.take("hall")
    page.goto(f"{dashboard.url}#/pipeline")
    cards = page.locator("#pipeline .card")
    expect(cards.filter(has_text="Speech to transcribe")).to_contain_text("3 waiting, 0 in hand")
    expect(cards.filter(has_text="Turns to answer")).to_contain_text("0 waiting, 1 in hand")
    expect(page.locator("#llm-server")).to_contain_text("partly usable")
    expect(page.locator("#llm-server")).to_contain_text(AWAY)
    rows = page.locator("#pipeline tbody tr")
    expect(rows.filter(has_text="llm-1")).to_contain_text("1 (hall)")
    expect(rows.filter(has_text="stt-1")).to_contain_text("nothing")
    fake_pipeline.settle(attempt, "I am.")
    for text in ("one", "two", "three"):
        fake_pipeline.transcribe(text)
    chart = cards.filter(has_text="Waiting for speech to text")
    expect(chart.locator(".small")).to_contain_text("(p50)")
    expect(chart.locator("canvas")).to_be_visible()
    expect(rows.filter(has_text="llm-1")).to_contain_text("nothing")


def test_redis_away_is_said(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline, server: RedisServer
) -> None:
    page.goto(f"{dashboard.url}#/pipeline")
    expect(page.locator("#llm-server")).to_be_visible()
    server.kill()
    expect(page.locator("#redis-away")).to_contain_text("cannot be reached")
    server.start()
    expect(page.locator("#llm-server")).to_be_visible()
