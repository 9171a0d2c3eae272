"""In a real browser conversations appear as they happen, and neither a reload in the middle of a
reply, nor a restart of the dashboard or of Redis, nor a slow page, makes it miss anything; what
was said is text, whatever it says."""

from playwright.sync_api import Page, expect

from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer

HTML = 'Hello <script>window.hit = 1</script><img src=x onerror="window.hit = 1"> & <b>bold</b>'
ATTACK = "</script><script>window.hit = 1</script>"


def turns(page: Page, *, said: str = "", replied: str = "") -> None:
    """Wait for a turn that shows these texts."""
    shown = page.locator(".turn", has=page.locator(".said .text", has_text=said))
    expect(shown.filter(has=page.locator(".replied .text", has_text=replied))).to_be_visible()


def test_a_turn_appears_and_its_reply_streams(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    page.goto(dashboard.url)
    expect(page.locator("#link")).to_have_text("live")
    fake_pipeline.speak("kitchen")
    row = page.locator(".session", has_text="kitchen")
    expect(row.locator(".state")).to_have_text("transcribing")
    fake_pipeline.transcribe("What time is it?")
    expect(row.locator(".state")).to_have_text("answering")
    attempt = fake_pipeline.take("kitchen")
    fake_pipeline.stream(attempt, 0, "It is ")
    turns(page, said="What time is it?", replied="It is ")
    fake_pipeline.stream(attempt, 1, "late.")
    turns(page, said="What time is it?", replied="It is late.")
    expect(page.locator(".replied.pending")).to_have_count(1)
    fake_pipeline.settle(attempt, "It is late.")
    expect(page.locator(".replied.pending")).to_have_count(0)
    expect(row.locator(".state")).to_have_text("listening")


def test_skips_and_errors_stand_where_they_happened(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    page.goto(f"{dashboard.url}#/conversations/cellar")
    fake_pipeline.speak("cellar")
    fake_pipeline.skip()
    fake_pipeline.speak("cellar")
    fake_pipeline.bury("the audio is no readable FLAC")
    notes = page.locator(".turn .note")
    expect(notes).to_have_text(
        ["skipped: noise, nobody spoke", "error in stt: the audio is no readable FLAC"]
    )
    page.select_option("#state", "errors")
    expect(page.locator(".session:visible .name")).to_have_text(["cellar"])


def test_html_is_text(page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline) -> None:
    fake_pipeline.say("html", HTML)
    fake_pipeline.answer("html", ATTACK)
    page.goto(f"{dashboard.url}#/conversations/html")
    turns(page, said=HTML, replied=ATTACK)
    page.locator(".opener").click()
    expect(page.locator(".facts")).to_be_visible()
    assert page.evaluate("window.hit") is None
    assert page.locator(".turn img, .turn script, .turn b").count() == 0


def test_a_reload_in_mid_reply_misses_nothing(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    fake_pipeline.say("office", "Tell me a story.")
    attempt = fake_pipeline.take("office")
    fake_pipeline.stream(attempt, 0, "Once ")
    page.goto(f"{dashboard.url}#/conversations/office")
    turns(page, said="Tell me a story.", replied="Once ")
    page.reload()
    fake_pipeline.stream(attempt, 1, "upon ")
    turns(page, replied="Once upon ")
    page.reload()
    expect(page.locator(".replied .text")).to_have_text("Once upon ")
    fake_pipeline.stream(attempt, 2, "a time.")
    expect(page.locator(".replied .text")).to_have_text("Once upon a time.")
    fake_pipeline.settle(attempt, "Once upon a time.")
    expect(page.locator(".replied.pending")).to_have_count(0)


def test_it_goes_on_by_itself_when_the_dashboard_was_restarted(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    fake_pipeline.say("attic", "Count to three.")
    attempt = fake_pipeline.take("attic")
    fake_pipeline.stream(attempt, 0, "One, ")
    page.goto(f"{dashboard.url}#/conversations/attic")
    expect(page.locator(".replied .text")).to_have_text("One, ")
    page.evaluate("window.untouched = true")
    assert dashboard.stop() == 0, dashboard.log
    fake_pipeline.stream(attempt, 1, "two, ")
    fake_pipeline.stream(attempt, 2, "three.")
    expect(page.locator("#link")).to_have_text("waiting")
    dashboard.start()
    expect(page.locator(".replied .text")).to_have_text("One, two, three.")
    expect(page.locator("#link")).to_have_text("live")
    fake_pipeline.settle(attempt, "One, two, three.")
    expect(page.locator(".replied.pending")).to_have_count(0)
    assert page.evaluate("window.untouched") is True


def test_it_goes_on_when_redis_was_away(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline, server: RedisServer
) -> None:
    page.goto(f"{dashboard.url}#/conversations/garden")
    expect(page.locator("#link")).to_have_text("live")
    server.restart()
    fake_pipeline.say("garden", "Are you back?")
    fake_pipeline.answer("garden", "I am.")
    turns(page, said="Are you back?", replied="I am.")


def test_what_was_said_is_found_and_sessions_are_filtered(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    for session, text in (("p1", "Where is my Regenschirm?"), ("p2", "Play some music.")):
        fake_pipeline.say(session, text)
        fake_pipeline.answer(session, "I do not know.")
    page.goto(dashboard.url)
    page.fill("#words", "regenSCHIRM")
    expect(page.locator(".session:visible .name")).to_have_text(["p1"])
    expect(page.locator(".turn .said .text")).to_have_text(["Where is my Regenschirm?"])
    page.fill("#words", "p2")
    expect(page.locator(".session:visible .name")).to_have_text(["p2"])


def test_it_is_used_by_keyboard(
    page: Page, dashboard: DashboardProcess, fake_pipeline: FakePipeline
) -> None:
    fake_pipeline.say("keys", "Hello")
    fake_pipeline.answer("keys", "Good day.")
    page.goto(dashboard.url)
    expect(page.locator(".session", has_text="keys")).to_be_visible()
    page.locator("#everything").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#pane-title")).to_have_text("keys")
    page.locator(".opener").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".phases")).to_be_visible()
    expect(page.locator(".opener")).to_have_attribute("aria-expanded", "true")
