"""A page of another origin, open in the browser of somebody who has logged in, reads nothing of the
dashboard and changes nothing there, by whatever means a browser gives it."""

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from common.keys import Shard
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_pipeline import FakePipeline
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

TOKEN: Final = "correct horse"
SECRET: Final = "nobody else may read this"
LOOPBACK: Final = "127.0.0.1"
SHARD: Final = Shard(0)

READ: Final = """async (url) => {
    const seen = [];
    for (const path of ["api/overview", "api/dead", "api/search?q=nobody", "api/pipeline", ""])
        for (const credentials of ["include", "same-origin", "omit"])
            for (const mode of ["cors", "no-cors"])
                seen.push(await fetch(url + path, { credentials, mode })
                    .then((answer) => answer.text(), () => ""));
    return seen.join("");
}"""
"""The text of every answer that the page may see."""

STREAM: Final = """(url) => new Promise((resolve) => {
    const source = new EventSource(url + "events?after=0r0-0_0d0-0", { withCredentials: true });
    source.onmessage = (message) => resolve(message.data);
    source.onerror = () => resolve("refused");
})"""

SPEAK: Final = """(url) => new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws") + "api/speak");
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
})"""

CHANGE: Final = """async ([url, letter]) => {
    const body = new URLSearchParams({ a: 1 });
    const json = new Blob(["{}"], { type: "application/json" });
    for (const path of [`api/dead/0/${letter}/drop`, `api/dead/0/${letter}/replay`,
                        "api/recordings?name=a.wav"]) {
        for (const mode of ["cors", "no-cors"])
            for (const sent of [body, json, "", undefined])
                await fetch(url + path,
                            { method: "POST", mode, credentials: "include", body: sent })
                    .catch(() => {});
        navigator.sendBeacon(url + path, body);
        await fetch(url + path, { method: "POST", mode: "no-cors", credentials: "include",
                                  keepalive: true, body: "x" }).catch(() => {});
    }
}"""

INCLUDE: Final = """(url) => Promise.all(["script", "img", "audio", "link", "object"].map((name) =>
    new Promise((resolve) => {
        const part = document.createElement(name);
        part.onload = part.onloadeddata = () => resolve(`${name} was loaded`);
        part.onerror = () => resolve("");
        if (name === "link") part.rel = "stylesheet";
        part[{ link: "href", object: "data" }[name] ?? "src"] = url + "api/overview";
        document.body.append(part);
    }))).then((all) => all.join(""))"""

FRAME: Final = """(url) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.name = "framed";
    frame.onload = () => resolve(true);
    frame.src = url;
    document.body.append(frame);
})"""

POST: Final = """([url, letter, what]) => {
    const form = document.createElement("form");
    form.method = "POST";
    form.action = `${url}api/dead/0/${letter}/${what}`;
    document.body.append(form);
    form.submit();
}"""


@pytest.fixture(scope="module", params=["with a token", "without a token"])
def board(
    request: pytest.FixtureRequest,
    server: RedisServer,
    fake_pipeline: FakePipeline,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DashboardProcess]:
    variables = {"EARSHOT_DASHBOARD__HOST": LOOPBACK}
    if request.param == "with a token":
        variables["EARSHOT_DASHBOARD__TOKEN"] = TOKEN
    fake_pipeline.say("s", SECRET)
    with DashboardProcess(tmp_path_factory.mktemp("board"), server.url, variables) as board:
        yield board


@pytest.fixture
def at_home(board: DashboardProcess, browser: BrowserContext) -> Iterator[Page]:
    """The page of somebody who may see everything, in the browser that the foreign page shares."""
    with contextlib.closing(browser.new_page()) as page:
        page.goto(board.url)
        if page.locator('[name="token"]').count():
            page.fill('[name="token"]', TOKEN)
            page.keyboard.press("Enter")
        expect(page.locator("#link")).to_have_text("live")
        yield page
        page.reload()
        expect(page.locator("#link")).to_have_text("live")
    browser.clear_cookies()


@pytest.fixture(params=["another port", "another site"])
def foreign(
    request: pytest.FixtureRequest, at_home: Page, browser: BrowserContext
) -> Iterator[Page]:
    """A page of another origin: of the same site, with which a browser sends cookies that are
    `SameSite=Strict`, or of another one."""

    class Blank(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Blank) as pages:
        thread = Thread(target=pages.serve_forever)
        thread.start()
        host = LOOPBACK if request.param == "another port" else "localhost"
        with contextlib.closing(browser.new_page()) as page:
            page.goto(f"http://{host}:{pages.server_port}/")
            yield page
        pages.shutdown()
        thread.join()


@pytest.fixture
def letter(server: RedisServer) -> str:
    with server.sync_client() as client:
        added: Any = client.xadd(SHARD.dead, {"session": "s", "error": "private", "audio": "x"})
        return str(added.decode())


def test_it_reads_nothing(board: DashboardProcess, at_home: Page, foreign: Page) -> None:
    own = at_home.evaluate(READ, board.url)
    assert SECRET in own, "the person's own page reads it"
    assert foreign.evaluate(READ, board.url) == ""
    assert foreign.evaluate(STREAM, board.url) == "refused"
    assert at_home.evaluate(SPEAK, board.url) == "open"
    assert foreign.evaluate(SPEAK, board.url) == "refused"
    assert foreign.evaluate(INCLUDE, board.url) == ""


def test_it_changes_nothing(
    board: DashboardProcess, foreign: Page, letter: str, server: RedisServer
) -> None:
    with server.sync_client() as client:
        before = {key: client.dump(key) for key in client.scan_iter("earshot:{0}:[dsu]*")}
        foreign.evaluate(CHANGE, [board.url, letter])
        for what in ("drop", "replay"):
            elsewhere = foreign.url
            with foreign.expect_navigation() as sent:
                foreign.evaluate(POST, [board.url, letter, what])
            assert sent.value.status == 403
            foreign.goto(elsewhere)
        assert {key: client.dump(key) for key in client.scan_iter("earshot:{0}:[dsu]*")} == before


def test_it_frames_nothing_and_gets_hold_of_no_window(
    board: DashboardProcess, foreign: Page
) -> None:
    foreign.evaluate(FRAME, board.url)
    frame = foreign.locator("iframe").element_handle()
    framed: Any = until_sync(frame.content_frame, lambda seen: seen and "chrome-error" in seen.url)
    assert framed.locator("#link, [name=token]").count() == 0
    with foreign.expect_popup() as opened:
        foreign.evaluate("(url) => { window.opened = window.open(url) }", board.url)
    expect(opened.value.locator("#link, [name=token]").first).to_be_visible()
    until_sync(lambda: foreign.evaluate("window.opened.closed"))
    assert opened.value.evaluate("window.opener") is None
    opened.value.close()
